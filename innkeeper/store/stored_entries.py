"""Looks at the log as it lies there, damage included.

Used by `audit` and `rebuild`. Gives raw facts and judges nothing. Every function raises StoreError,
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from innkeeper.store.connection import Store, script
from innkeeper.store.entry import Entry, place, raw_id
from innkeeper.store.keys import keys_of

_PIECE = 100


def cursor(store: Store, partition: int) -> str:
    """Up to where a partition has been folded."""
    return (store.command("GET", keys_of(partition).cursor) or b"0-0").decode()


def dropped(store: Store, partition: int) -> tuple[int, int]:
    """How many entries a partition has ever trimmed and forgotten: whether its log lost any."""
    counts = store.command("HMGET", keys_of(partition).counts, "trimmed", "forgotten")
    return int(counts[0] or 0), int(counts[1] or 0)


def sealed_events(store: Store, partition: int, entries: Sequence[Entry]) -> list[bytes | None]:
    """The encrypted events of entries; None where one is missing."""
    if not entries:
        return []
    own = [raw_id(entry.delivery) for entry in entries]
    found: list[bytes | None] = store.command("HMGET", keys_of(partition).events, *own)
    return found


class Tally(NamedTuple):
    """How a partition's log stands at one moment: its counts, and what is there of each part."""

    counts: dict[str, int]
    entries: int
    cursor: str
    last: str
    events: int
    bodies: int
    outcomes: int


def tally(store: Store, partition: int) -> Tally:
    """How a partition's log stands."""
    keys = keys_of(partition)
    names = [keys.log, keys.cursor, keys.counts, keys.events, keys.bodies, keys.outcomes]
    counts, entries, cursor_, last, *parts = store.command(*script("tally").call(names, []))
    pairs = zip(counts[::2], counts[1::2], strict=True)
    told = {name.decode(): int(value) for name, value in pairs}
    return Tally(told, entries, cursor_.decode(), last.decode(), *parts)


class StoredEntry(NamedTuple):
    """An entry as it lies there; sizes in bytes, 0 for a part that is missing."""

    stream_id: str
    own: bytes
    instance: str
    outcome: str
    fields_size: int
    event_size: int
    body_size: int


def slices(store: Store, partition: int) -> Iterator[tuple[str, list[StoredEntry]]]:
    """A partition's log in slices, oldest first, each with the cursor at its moment."""
    keys, start = keys_of(partition), "-"
    names = [keys.log, keys.cursor, keys.events, keys.bodies, keys.outcomes]
    while start:
        call = script("entries").call(names, [start, _PIECE])
        at, found = store.command(*call)
        entries = [
            StoredEntry(id_.decode(), own, instance.decode(), outcome.decode(), *sizes)
            for id_, own, instance, outcome, *sizes in found
        ]
        yield at.decode(), entries
        start = f"({entries[-1].stream_id}" if len(entries) == _PIECE else ""


def fields_of(store: Store, name: str) -> Iterator[bytes]:
    """The fields of a hash; one that comes or goes meanwhile may be left out or come twice."""
    for found in store.scan(name, count=_PIECE):
        yield from found


def are_missing(store: Store, places: Sequence[tuple[int, str]]) -> list[bool]:
    """Which entries, by partition and stream id, are not in the log and were not trimmed."""
    if not places:
        return []
    calls = [("XRANGE", keys_of(p).log, at, at) for p, at in places]
    absent = [not found for found in store.batch(calls)]
    partitions = sorted({p for (p, _), gone in zip(places, absent, strict=True) if gone})
    firsts = {partition: _first(store, partition) for partition in partitions}
    return [
        gone and place(at) >= firsts[partition]
        for (partition, at), gone in zip(places, absent, strict=True)
    ]


def _first(store: Store, partition: int) -> tuple[int, int]:
    """Where a log begins; an empty one, right behind its cursor."""
    keys = keys_of(partition)
    found, at = store.batch([("XRANGE", keys.log, "-", "+", "COUNT", 1), ("GET", keys.cursor)])
    if found:
        return place(found[0][0].decode())
    millis, number = place((at or b"0-0").decode())
    return millis, number + 1
