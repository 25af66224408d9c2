"""Receivers' notes of their own 202s: found by whoever reads them, whatever became of a file."""

from __future__ import annotations

import contextlib
from pathlib import Path

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.operations.accepted import FOLDER, Note, Notes, drop_old, read_notes
from innkeeper.store.log import CLAIM_PERIOD_SECONDS
from tests.store.making import NOW


def note(delivery: str) -> Note:
    """A note of a delivery."""
    return Note(delivery=DeliveryId(delivery), instance="xurrent/tides/a", at=NOW)


def test_a_file_that_was_dropped_gets_no_more_notes(tmp_path: Path):
    """It had none for long, so another receiver has dropped it: the next goes into a new one."""
    with contextlib.closing(Notes(tmp_path)) as notes:
        notes.write([note("old")])
        (path,) = (tmp_path / FOLDER).iterdir()
        drop_old(tmp_path / FOLDER, now=path.stat().st_mtime + CLAIM_PERIOD_SECONDS + 1)
        notes.write([note("new")])
    assert [each.delivery for each in read_notes(tmp_path)] == ["new"]


def test_damaged_lines_are_left_out(tmp_path: Path):
    """Cut off, or no text any more: the others are read."""
    with contextlib.closing(Notes(tmp_path)) as notes:
        notes.write([note("first"), note("second"), note("third")])
    (path,) = (tmp_path / FOLDER).iterdir()
    first, second, third = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, second.replace(b"second", b"\xff\xfe"), third[:-5]]))
    assert [each.delivery for each in read_notes(tmp_path)] == ["first"]
