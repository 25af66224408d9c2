"""The services as child processes of `up`: how one is started, asked for and ended.

`supervising` calls it. Everything is started from the main thread, for the kernel's promise to
end a child with its parent hangs on the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from innkeeper import runtime


class EndedEarly(Exception):
    """A process ended, or never answered, before it was ready. The text says how and why."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class Service:
    """One service: a command line that runs until it is told to stop.

    `answers` says whether it does its work, and may take a second. `stop_within_seconds` is what
    it gets to finish what it holds. The child's output is ours; its session is its own, so that
    Ctrl-C reaches `up` alone and the order of stopping holds.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        stop_within_seconds: float,
        answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._stop_within_seconds = stop_within_seconds
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None
        self._launched_at = 0.0

    @property
    def alive_seconds(self) -> float:
        """How long ago it was launched, 0 if it does not run."""
        return time.monotonic() - self._launched_at if self.alive() else 0.0

    def launch(self) -> None:
        """Start the process. Does not wait. Raises OSError if the system refuses."""
        self._launched_at = time.monotonic()
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, runtime.PARENT_VARIABLE: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Whether it does its work. Raises EndedEarly if it has ended."""
        if not self.alive():
            code = self._process.returncode if self._process is not None else None
            raise EndedEarly(f"{self.how_it_ended()} before it was ready", code)
        return self._answers()

    def how_it_ended(self) -> str:
        """For people: the service's name and how its process ended."""
        how = "not started" if self._process is None else how_a_process_ended(self._process)
        return f"{self.name}: {how}"

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for what is left after its time. May be repeated."""
        if self._process is not None:
            end_process(self._process, within_seconds=self._stop_within_seconds)


def how_a_process_ended(process: subprocess.Popen[bytes]) -> str:
    """For people: "ended with exit code 1", "was ended by SIGKILL"."""
    code = process.poll()
    if code is None:
        return "still runs"
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def end_process(process: subprocess.Popen[bytes], *, within_seconds: float) -> None:
    """SIGTERM; SIGKILL to the process and its session's group if that does not end it in time."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(within_seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
