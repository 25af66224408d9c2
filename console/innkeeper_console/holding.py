"""One `up` a data folder: whoever holds it, by a lock that the kernel drops with its process.

`up` takes it before anything else is started. It must not know what lies in the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType


class FolderHeld(Exception):
    """Another process holds the folder; `pid` is its process id, as far as it is known."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.folder = folder
        self.pid = pid
        super().__init__(f"{folder} is held by another `innkeeper up` (process {pid or 'unknown'})")


class HeldFolder:
    """Holds a data folder while its block runs; raises FolderHeld if somebody else does.

    The folder is made, mode 0700, where it is missing. `left_over` says whether the last holder
    was killed, so that what it had started may still be about to end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self.left_over = False

    def __enter__(self) -> HeldFolder:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._folder / "up.pid", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self._written_pid()
            os.close(self._file)
            raise FolderHeld(self._folder, pid) from None
        self.left_over = self._written_pid() is not None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Emptied, never removed: a second file of the same name would be a second lock.
        os.ftruncate(self._file, 0)
        os.close(self._file)

    def _written_pid(self) -> int | None:
        with contextlib.suppress(ValueError):
            return int(os.pread(self._file, 32, 0))
        return None
