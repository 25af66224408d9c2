"""The append script, broken off before each of its commands: nothing is lost for good."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.entry import NewEntry, raw_id
from innkeeper.store.keys import keys_of
from innkeeper.store.log import CLAIM_PERIOD_SECONDS, append_command, prepare
from tests.store.crashing import crash_points
from tests.store.making import PARTITION, append_all, logged, new_entry

KEYS = keys_of(PARTITION)


class _Batch(NamedTuple):
    """What was acknowledged before, and a batch in which each branch of the script is taken."""

    known: NewEntry
    batch: list[NewEntry]


@pytest.fixture
def made(store: Store) -> _Batch:
    """What was appended before, and the batch that is broken off."""
    far = int(store.command("TIME")[0]) + 5.0 * CLAIM_PERIOD_SECONDS
    known = new_entry("k1", "k2")
    return _Batch(
        known,
        [
            new_entry("a1", "a2"),
            new_entry("b1", "b2", expires_at=far),
            new_entry("a1", "c2"),
            new_entry("k1", "d2", expires_at=far),
            known,
            new_entry("d2", "e2"),
            new_entry(),
        ],
    )


STORED = (0, 1, 6)
"""The places in the batch of what is new."""


def _claims(store: Store) -> list[tuple[bytes, bytes]]:
    periods = store.command("KEYS", KEYS.claims.replace("{", "\\{") + "*")
    return [pair for period in periods for pair in store.command("HGETALL", period).items()]


def _claims_without_entry(store: Store) -> list[bytes]:
    """Claims that name a delivery, or a place in the log, that is not there."""
    own = set(logged(store))
    places = {place for place, _ in store.command("XRANGE", KEYS.log, "-", "+")}
    return [claim for claim, held_by in _claims(store) if held_by not in own | places]


def test_the_batch_takes_every_branch(store: Store, ring: KeyRing, made: _Batch):
    """Unbroken, the batch stores what is new and finds the rest."""
    append_all(store, ring, [made.known])
    results = append_all(store, ring, made.batch)
    assert [one.duplicate for one in results] == [False, False, True, True, False, True, False]
    stored = [made.known, *(made.batch[place] for place in STORED)]
    assert [raw_id(entry.delivery) for entry in stored] == logged(store)
    assert _claims_without_entry(store) == []


def test_broken_off_anywhere(store: Store, ring: KeyRing, made: _Batch):
    """Before whichever command the script breaks off: what was acknowledged stands, no claim is
    without its entry, and the batch again, one by one, stores or finds each."""
    append_all(store, ring, [made.known])
    command = append_command([prepare(entry, ring) for entry in made.batch])
    points = 0
    for n in crash_points(store, "append", command):
        points = n
        left = logged(store)
        assert raw_id(made.known.delivery) == left[0], n
        assert len(left) == len(set(left)), n
        assert _claims_without_entry(store) == [], n
        _sent_again(store, ring, made, left, n)
        store.command("FLUSHALL")
        append_all(store, ring, [made.known])
    assert points > 20


def _sent_again(store: Store, ring: KeyRing, made: _Batch, left: list[bytes], n: int) -> None:
    results = [append_all(store, ring, [entry])[0] for entry in made.batch]
    firsts = [0, 1, 0, -1, -1, -1, 6]
    expected = [made.known if at < 0 else made.batch[at] for at in firsts]
    assert [entry.delivery for entry in expected] == [one.delivery for one in results], n
    times = Counter(logged(store))
    assert len(times) == 4, n
    # Only the entry behind which the script broke off may be there twice: it has no claims yet.
    doubled = [raw for raw, number in times.items() if number > 1]
    assert doubled in ([], left[-1:]), n
    assert max(times.values()) <= 2, n
    # And whoever sends the same facts again, under ids of their own, is told so.
    copies = [new_entry("a2"), new_entry("b1"), new_entry("c2"), new_entry("e2"), new_entry("k2")]
    results = append_all(store, ring, copies)
    assert [one.duplicate for one in results] == [True] * 5, n
    assert times == Counter(logged(store)), n


def test_nothing_is_written_before_all_claims_were_looked_up(store: Store, ring: KeyRing):
    """Up to the XADD of the first delivery, a script that breaks off leaves the store empty."""
    entry = new_entry("a1", "a2", "a3")
    command = append_command([prepare(entry, ring)])
    empty = 0
    for _ in crash_points(store, "append", command):
        empty += not store.command("DBSIZE")
        store.command("FLUSHALL")
    # TIME; all claims in two periods; XADD.
    assert empty == 1 + 2 + 1
