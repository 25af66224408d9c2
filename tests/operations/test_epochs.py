"""The last known store, kept in the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from innkeeper.operations.epochs import known_epoch, notice, remember
from tests.processes import mode_of


def test_an_epoch_is_kept(tmp_path: Path):
    """For its owner alone; the same one again changes nothing."""
    data = tmp_path / "not" / "there" / "yet"
    assert known_epoch(data) is None
    assert remember(data, "first") is None
    known = known_epoch(data)
    assert known is not None
    assert (known.epoch, known.before) == ("first", None)
    assert remember(data, "first") is None
    assert known_epoch(data) == known
    assert mode_of(data / "store-epoch") == 0o600
    assert [one.name for one in data.iterdir()] == ["store-epoch"]


def test_the_one_before_is_kept_with_its_end(tmp_path: Path):
    """Since when it was known, and when it was found gone."""
    remember(tmp_path, "first")
    first = known_epoch(tmp_path)
    gone = remember(tmp_path, "second")
    second = known_epoch(tmp_path)
    assert first is not None
    assert second is not None
    assert gone is not None
    assert (gone.epoch, gone.since, gone.went) == ("first", first.since, second.since)
    assert (second.epoch, second.before) == ("second", gone)


@pytest.mark.parametrize("broken", [b'{"epoch": 7', b'{"epoch": "\xff"}'])
def test_a_broken_file_is_replaced(broken: bytes, tmp_path: Path):
    """What cannot be read says nothing, and stops nobody."""
    (tmp_path / "store-epoch").write_bytes(broken)
    assert known_epoch(tmp_path) is None
    assert remember(tmp_path, "first") is None
    assert known_epoch(tmp_path) is not None


def test_another_store_is_told_loudly(tmp_path: Path):
    """At a start by what was kept, later by what the process has seen; never twice."""
    with capture_logs() as logs:
        assert not notice(tmp_path, None, "first")
        assert notice(tmp_path, None, "second")
        assert not notice(tmp_path, None, "second")
        assert notice(tmp_path, "first", "second")  # another process has kept it already
    changed = {"event": "store.epoch_changed", "log_level": "error"}
    assert logs == [{**changed, "before": "first", "now": "second"}] * 2


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path):
    """What cannot be kept is said, and what the process has seen is compared all the same."""
    (tmp_path / "data").write_text("a file")
    with capture_logs() as logs:
        assert notice(tmp_path / "data", "first", "second")
    assert [line["event"] for line in logs] == ["store.epoch_not_kept", "store.epoch_changed"]
