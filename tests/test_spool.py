"""The spool's file: on disk at once, each delivery once, in order, bounded, and for its owner."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from innkeeper.secrets import KeyRing
from innkeeper.spool import FILE, Spool, SpoolUnavailable, held_ids, look
from innkeeper.store.entry import Captured
from innkeeper.store.log import CLAIM_PERIOD_SECONDS, Prepared, prepare
from tests.processes import line_of, mode_of, python
from tests.store.making import NOW, key_in, new_entry

ROOMY = 1 << 30

PUT_AND_HANG = """
import sys, time
from pathlib import Path
from innkeeper.secrets import KeyRing
from innkeeper.spool import Spool
from innkeeper.store.log import prepare
from tests.store.making import NOW, new_entry
spool = Spool(Path(sys.argv[1]), most_bytes=1 << 30)
for number in range(50):
    print(spool.put([prepare(new_entry(str(number)), KeyRing([bytes(32)]))], now=NOW)[0].delivery)
    sys.stdout.flush()
time.sleep(60)
"""

LOOK = """
import sys, time
from pathlib import Path
from innkeeper.spool import look
print(look(Path(sys.argv[1]), now=time.time()).deliveries)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty one with much room."""
    opened = Spool(tmp_path, most_bytes=ROOMY)
    with contextlib.closing(opened):
        yield opened


def made(ring: KeyRing, *claims: str, partition: int = 7, body: bytes = b"{}") -> Prepared:
    """A delivery with these claims, about an instance of a partition."""
    captured = Captured(app="app", body=body)
    return prepare(new_entry(*claims, key=key_in(partition), captured=captured), ring)


def ids(spool: Spool) -> list[str]:
    """What it would drain, in its order."""
    return [held.entry.delivery for held in spool.oldest(1000, now=NOW)]


def test_what_comes_first_is_drained_first(spool: Spool, ring: KeyRing):
    """Whatever partitions the deliveries belong to; some of those may be left out."""
    entries = [made(ring, str(number), partition=number % 3) for number in range(9)]
    spool.put(entries[:4], now=NOW)
    spool.put(entries[4:], now=NOW)
    assert ids(spool) == [entry.delivery for entry in entries]
    held = spool.oldest(2, now=NOW, without={0, 1})
    assert [one.entry for one in held] == [entries[2], entries[5]]


def test_a_duplicate_is_told_as_one(spool: Spool, ring: KeyRing):
    """Any claim that it shares with one that is held leads to that one's id; nothing is added."""
    first = made(ring, "jti", "hash")
    assert not spool.put([first], now=NOW)[0].duplicate
    for second in (made(ring, "hash", "other"), made(ring, "jti")):
        assert spool.put([second], now=NOW) == [(first.delivery, True)]
    assert ids(spool) == [first.delivery]


def test_the_same_one_in_one_call_is_put_in_once(spool: Spool, ring: KeyRing):
    """Claims of a call's earlier deliveries count for its later ones."""
    first, second = made(ring, "same"), made(ring, "same")
    told = spool.put([first, second], now=NOW)
    assert told == [(first.delivery, False), (first.delivery, True)]


def test_claims_of_another_partition_are_others(spool: Spool, ring: KeyRing):
    """As in the log, where each partition has its own."""
    told = spool.put([made(ring, "c", partition=p) for p in (1, 2)], now=NOW)
    assert [one.duplicate for one in told] == [False, False]


def test_the_same_put_again_is_no_duplicate_of_itself(spool: Spool, ring: KeyRing):
    """An answer that got lost: the same entry is found under its own id."""
    entry = made(ring, "c")
    assert spool.put([entry], now=NOW) == spool.put([entry], now=NOW) == [(entry.delivery, False)]
    assert len(ids(spool)) == 1


def test_what_is_dropped_is_gone_with_its_claims(spool: Spool, ring: KeyRing):
    """And nothing else is."""
    first, second = made(ring, "one"), made(ring, "two")
    spool.put([first, second], now=NOW)
    spool.drop(spool.oldest(1, now=NOW))
    assert ids(spool) == [second.delivery]
    assert not spool.put([made(ring, "one")], now=NOW)[0].duplicate
    assert spool.put([made(ring, "two")], now=NOW)[0].duplicate


def test_what_outlived_the_claims_is_shown_and_not_drained(spool: Spool, ring: KeyRing):
    """What it repeats may have been forgotten by the log; it holds up nothing."""
    spool.put([made(ring, "old")], now=NOW - CLAIM_PERIOD_SECONDS - 1)
    assert not spool.holds(now=NOW)
    assert ids(spool) == []
    state = spool.state(now=NOW)
    assert (state.deliveries, state.overdue) == (1, 1)
    spool.put([made(ring, "new")], now=NOW)
    assert spool.holds(now=NOW)
    assert len(ids(spool)) == 1


def test_it_is_bounded(tmp_path: Path, ring: KeyRing):
    """What would go over the bound is refused whole; draining makes room."""
    with contextlib.closing(Spool(tmp_path, most_bytes=300_000)) as spool:
        entry = made(ring, "big", body=os.urandom(200_000))
        spool.put([entry], now=NOW)
        with pytest.raises(SpoolUnavailable, match="full"):
            spool.put([made(ring, "more", body=os.urandom(100_000))], now=NOW)
        assert held_ids(tmp_path) == {entry.delivery}
        spool.drop(spool.oldest(1, now=NOW))
        spool.put([made(ring, "more", body=os.urandom(100_000))], now=NOW)


def test_a_call_that_breaks_off_leaves_nothing(
    spool: Spool, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
):
    """All of a call or none: the second of two fails, and the first is not there either."""
    broken = made(ring, "b")._replace(arguments=[object()])
    with pytest.raises(ValueError, match="unpack"):
        spool.put([made(ring, "a"), broken], now=NOW)
    assert ids(spool) == []


def test_nobody_else_may_read_it(spool: Spool, ring: KeyRing, tmp_path: Path):
    """Mode 0600 for each of its files, and no word of a body in clear."""
    spool.put([made(ring, "c", body=b"the customer's own word")], now=NOW)
    files = list(tmp_path.glob("spool*"))
    assert {mode_of(path) for path in files} == {0o600}
    assert all(b"customer's own" not in path.read_bytes() for path in files)


def test_a_killed_process_leaves_all_that_it_was_told_of(tmp_path: Path):
    """SIGKILL right after the answer."""
    with python(PUT_AND_HANG, tmp_path) as process:
        told = {line_of(process) for _ in range(30)}
        os.kill(process.pid, signal.SIGKILL)
    assert told <= held_ids(tmp_path)


def test_a_look_from_outside_takes_nothing_away(tmp_path: Path, ring: KeyRing):
    """Two connections in one process, as a receiver has, and a process that looks and leaves: what
    is put in afterwards is seen by whoever comes next."""
    with contextlib.ExitStack() as opened:
        first, second = (
            opened.enter_context(contextlib.closing(Spool(tmp_path, most_bytes=ROOMY)))
            for _ in range(2)
        )
        told = [first.put([made(ring, "before")], now=NOW)[0].delivery]
        for name in ("during", "after"):
            with python(LOOK, tmp_path) as outside:
                outside.wait(20)
            told.append(second.put([made(ring, name)], now=NOW)[0].delivery)
        with python(LOOK, tmp_path) as outside:
            assert line_of(outside) == "3"
        assert ids(first) == told


def test_two_processes_share_it(tmp_path: Path, ring: KeyRing):
    """Both put in at once; nothing is lost, and a claim is held by one."""
    told: list[tuple[str, bool]] = []

    def put_all() -> None:
        with contextlib.closing(Spool(tmp_path, most_bytes=ROOMY)) as mine:
            for number in range(100):
                told.extend(mine.put([made(ring, str(number))], now=NOW))

    threads = [threading.Thread(target=put_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    firsts = {delivery for delivery, duplicate in told if not duplicate}
    assert len(told) == 300
    assert len(firsts) == 100
    assert firsts == held_ids(tmp_path) == {delivery for delivery, _ in told}


def test_a_transaction_waits_for_the_disk(tmp_path: Path, ring: KeyRing):
    """The file is set to write through: `put` returns after an fsync of its log."""
    with contextlib.closing(Spool(tmp_path, most_bytes=ROOMY)) as spool:
        modes = [
            spool._file.execute(f"PRAGMA {n}").fetchone()[0]
            for n in ("synchronous", "journal_mode")
        ]
    assert modes == [2, "wal"]


def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path):
    """Nothing is thrown away that may hold deliveries."""
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    with pytest.raises(SpoolUnavailable, match="not a database"):
        Spool(tmp_path, most_bytes=ROOMY)
    state = look(tmp_path, now=NOW)
    assert state is not None
    assert "not a database" in (state.error or "")
    assert (tmp_path / FILE).read_bytes().startswith(b"this is no database")


def test_a_folder_without_a_spool_has_none(tmp_path: Path):
    """Looking makes no file."""
    assert look(tmp_path, now=NOW) is None
    assert held_ids(tmp_path) == set()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_taken_away_takes_no_more(spool: Spool, tmp_path: Path, ring: KeyRing):
    """Nothing is put in that would be gone with the process, whether there is a new one or not."""
    for path in tmp_path.glob(f"{FILE}*"):
        path.unlink()
    with pytest.raises(SpoolUnavailable):
        spool.put([made(ring, "a")], now=NOW)
    with contextlib.closing(Spool(tmp_path, most_bytes=ROOMY)):
        with pytest.raises(SpoolUnavailable, match="another file"):
            spool.put([made(ring, "a")], now=NOW)
        with pytest.raises(SpoolUnavailable, match="another file"):
            spool.state(now=NOW)


def test_a_damaged_row_is_told(spool: Spool, tmp_path: Path, ring: KeyRing):
    """As everything else that is wrong with the file."""
    spool.put([made(ring, "a")], now=NOW)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("UPDATE deliveries SET arguments = x'c1'")
    with pytest.raises(SpoolUnavailable):
        spool.oldest(10, now=NOW)
