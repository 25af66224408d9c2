"""Workers that halt at a point of their work: `python halting.py FOLDER worker …`.

A file FOLDER/POINT asks for it: the first process that comes there takes the file away and stops,
until it is continued or killed. What is patched is patched here: the product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from innkeeper.store.commit import Commit
from innkeeper.store.outbox import Outbox
from innkeeper_console.cli import main
from tests.faults.trial import Trial, python
from tests.processes import soon


class Halts:
    """The halts of a trial's workers, as its test asks for them.

    `folded`: a batch is folded and not committed; `committed`: nobody has been told of it yet;
    `performed`: a follow-up has run and is not settled.
    """

    def __init__(self, trial: Trial) -> None:
        """Nothing halts yet."""
        self._folder = trial.folder / "halts"
        self._folder.mkdir()
        self.program = python("-P", str(Path(__file__)), str(self._folder))

    def ask(self, point: str) -> None:
        """Have the next process that comes to the point stop there."""
        self._file(point, "halted").unlink(missing_ok=True)
        self._file(point, "said").unlink(missing_ok=True)
        self._file(point).touch()

    def halted(self, point: str, within_seconds: float = 20.0) -> int:
        """Wait until a process has stopped there; its process id."""
        note = self._file(point, "halted")
        assert soon(lambda: note.exists() and note.read_text() != "", within_seconds), point
        return int(note.read_text())

    def said(self, point: str, within_seconds: float = 10.0) -> str:
        """What the store said to the one who went on: `counted` or `refused`."""
        note = self._file(point, "said")
        assert soon(lambda: note.exists() and note.read_text() != "", within_seconds), point
        return note.read_text()

    def _file(self, *parts: str) -> Path:
        return self._folder / ".".join(parts)


def patch(folder: Path) -> None:
    """Have the workers of this process and its children halt when they are asked to."""
    commit, settle = Commit.run, Outbox._settle

    def run(self: Any, *arguments: Any) -> bool:
        halted = _halt(folder, "folded")
        counted = commit(self, *arguments)
        _say(folder, "folded", halted, counted)
        _halt(folder, "committed")
        return counted

    def settled(self: Any, taken: Any, *arguments: Any, **more: Any) -> bool:
        halted = taken.state.work.bell == "perform" and _halt(folder, "performed")
        counted = settle(self, taken, *arguments, **more)
        _say(folder, "performed", halted, counted)
        return counted

    patched: tuple[tuple[type, str, Callable[..., bool]], ...] = (
        (Commit, "run", run),
        (Outbox, "_settle", settled),
    )
    for owner, name, halting in patched:
        setattr(owner, name, halting)


def _halt(folder: Path, point: str) -> bool:
    try:
        (folder / point).unlink()
    except FileNotFoundError:
        return False
    (folder / f"{point}.halted").write_text(str(os.getpid()))
    # To this thread: it goes no further, whichever of the others would have got the signal.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    return True


def _say(folder: Path, point: str, halted: bool, counted: bool) -> None:
    if halted:
        (folder / f"{point}.said").write_text("counted" if counted else "refused")


if __name__ == "__main__":
    patch(Path(sys.argv.pop(1)))
    main()
