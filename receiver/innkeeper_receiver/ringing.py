"""Rings the apply bell after a flush, in a thread of its own and never in a request's way."""

from __future__ import annotations

import threading

from innkeeper.bells import Bell

_PAUSE_SECONDS = 0.02


class Ringer:
    """A flush asks for a ring; rings that are asked for during one are one."""

    def __init__(self, bell: Bell) -> None:
        """Ring `bell`."""
        self._bell = bell
        self._asked = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self) -> None:
        """Have it rung soon. A ring that fails is made good by the sweep."""
        self._asked.set()

    def stop(self) -> None:
        """End the thread after a last ring that was asked for."""
        self._ends = True
        self._asked.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        pause = threading.Event()
        while not self._ends:
            self._asked.wait()
            self._asked.clear()
            self._bell.ring()
            pause.wait(_PAUSE_SECONDS)
