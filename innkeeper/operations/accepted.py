"""Receivers' own notes of what they answered 202, against which `audit` holds the log.

A line a delivery, in files of the data folder, one process a file. Written before the answer and
not fsynced: a killed receiver leaves them whole, and a power cut takes no more than moments.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.logs import get_logger
from innkeeper.store.log import CLAIM_PERIOD_SECONDS

FOLDER = "accepted"
MAX_BYTES = 256 << 20
_FILE_BYTES = 8 << 20
log = get_logger()


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that was answered 202. `at`: seconds since the epoch."""

    delivery: DeliveryId
    instance: str
    at: float


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


class Notes:
    """Writes the notes of one process. What cannot be written is said once and holds up nothing."""

    def __init__(self, data: Path) -> None:
        """Keep them in the data folder; no file is made before the first note."""
        self._folder = data / FOLDER
        self._file: int | None = None
        self._written = 0
        self._failing = False

    def write(self, notes: Iterable[Note]) -> None:
        """Add notes."""
        lines = b"".join(_encode(note) + b"\n" for note in notes)
        if not lines:
            return
        try:
            if self._file is None or self._is_over(self._file, len(lines)):
                self._begin_file()
            if self._file is not None:
                written = os.write(self._file, lines)
                self._written += written
                if written < len(lines):  # the disk is full: what comes next begins a new line
                    self.close()
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("notes.not_written", error=str(error))
            self._failing = True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _is_over(self, file: int, more: int) -> bool:
        # What has had no note for long is dropped as old, by another receiver, while it is open.
        return self._written + more > _FILE_BYTES or not os.fstat(file).st_nlink

    def _begin_file(self) -> None:
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        drop_old(self._folder, now=time.time())
        path = self._folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._written = 0


def read_notes(data: Path) -> Iterator[Note]:
    """All notes of this host's receivers, file by file. A line that was cut off is left out."""
    for path in sorted((data / FOLDER).glob("*.jsonl")):
        # One that is dropped meanwhile was old.
        with suppress(FileNotFoundError), path.open("rb") as lines:
            for line in lines:
                with suppress(msgspec.DecodeError, UnicodeDecodeError):
                    yield _decode(line)


def drop_old(folder: Path, *, now: float) -> None:
    """Drop the files that claims no longer vouch for, and the oldest of what is too much."""
    found = []
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # another receiver drops them as well
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    held = sum(size for _, size, _ in found)
    for written_at, size, path in sorted(found):
        if written_at >= now - CLAIM_PERIOD_SECONDS and held <= MAX_BYTES - _FILE_BYTES:
            break
        path.unlink(missing_ok=True)
        held -= size
