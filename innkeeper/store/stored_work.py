"""Looks at work, lanes and dead letters as they lie there, damage included.

Used by `audit`. Gives raw facts and judges nothing. Every function raises StoreError,
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from innkeeper.store.connection import Command, Store
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import BELLS_OF_OUTBOX
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.stored_lines import index_pieces

_SCANNED = 1000
_BY_PREFIX = {keys_of(p).prefix: p for p in PARTITIONS}
_PREFIX_LENGTH = len(keys_of(0).prefix)
_KINDS = frozenset("istplqw")


class Place(NamedTuple):
    """A key of one instance, lane or work: its partition, the letter of its kind, and its name."""

    partition: int
    kind: str
    name: str


def all_places(store: Store) -> Iterator[list[Place]]:
    """Every key of an instance, lane or work in the store, in pieces, each at least once."""
    for found in store.scan(match="ik:{*", count=_SCANNED):
        yield [place for place in map(_place, found) if place]


def _place(key: bytes) -> Place | None:
    name = key.decode()
    partition = _BY_PREFIX.get(name[:_PREFIX_LENGTH])
    kind, colon, rest = name[_PREFIX_LENGTH:].partition(":")
    if partition is None or not colon or kind not in _KINDS:
        return None
    return Place(partition, kind, rest)


class StoredWork(NamedTuple):
    """Work by its id. `seconds`: until it goes by itself, -1 where it does not."""

    id: str
    state: str
    spec: bytes
    seconds: int
    pinned: bool
    dead: bool


def stored_works(store: Store, partition: int, ids: Sequence[str]) -> list[StoredWork]:
    """Pieces of work; the state of one that is not there is empty."""
    keys, calls = keys_of(partition), list[Command]()
    for id_ in ids:
        calls += (
            ("HMGET", keys.work + id_, "state", "spec"),
            ("TTL", keys.work + id_),
            ("ZSCORE", keys.pins, id_),
            ("HEXISTS", keys.dead_records, f"{partition}-{id_}"),
        )
    answers = store.batch(calls) if calls else []
    found = []
    for at, id_ in enumerate(ids):
        (state, spec), seconds, pin, dead = answers[4 * at : 4 * at + 4]
        found.append(
            StoredWork(
                id_, (state or b"").decode(), spec or b"", seconds, pin is not None, bool(dead)
            )
        )
    return found


class StoredLane(NamedTuple):
    """A lane: the ids of its work, whether it is due or leased, and which work blocks it."""

    ids: list[str]
    due: bool
    blocked_by: str


def stored_lanes(store: Store, partition: int, names: Sequence[str]) -> list[StoredLane]:
    """Lanes by their names; one that is not there is empty."""
    keys, calls = keys_of(partition), list[Command]()
    for name in names:
        calls.append(("LRANGE", keys.queue + name, 0, -1))
        calls += [("ZSCORE", keys.due + bell, name) for bell in BELLS_OF_OUTBOX]
        calls.append(("HGET", keys.lane + name, "blocked"))
    answers, width = store.batch(calls) if calls else [], len(BELLS_OF_OUTBOX) + 2
    found = []
    for at in range(len(names)):
        ids, *due, blocked = answers[width * at : width * (at + 1)]
        told = any(score is not None for score in due)
        found.append(StoredLane([id_.decode() for id_ in ids], told, (blocked or b"").decode()))
    return found


def pins(store: Store, partition: int) -> Iterator[list[str]]:
    """What keeps entries from being trimmed: ids of work and of dead letters, in pieces."""
    yield from index_pieces(store, keys_of(partition).pins)


def letters(store: Store, partition: int) -> Iterator[list[str]]:
    """The ids of dead letters, in pieces."""
    yield from index_pieces(store, keys_of(partition).dead)
    yield [name.decode() for name in store.command("HKEYS", keys_of(partition).dead_records)]


class StoredLetter(NamedTuple):
    """A dead letter by its id: whether it is listed, its record, whether it is pinned."""

    id: str
    listed: bool
    record: bytes
    pinned: bool


def stored_letters(store: Store, partition: int, ids: Sequence[str]) -> list[StoredLetter]:
    """Dead letters; of work, the pin is the work's."""
    keys, calls = keys_of(partition), list[Command]()
    for id_ in ids:
        calls += (
            ("ZSCORE", keys.dead, id_),
            ("HGET", keys.dead_records, id_),
            ("ZSCORE", keys.pins, id_),
            ("ZSCORE", keys.pins, id_.partition("-")[2]),
        )
    answers = store.batch(calls) if calls else []
    found = []
    for at, id_ in enumerate(ids):
        score, record, *pinned = answers[4 * at : 4 * at + 4]
        told = any(pin is not None for pin in pinned)
        found.append(StoredLetter(id_, score is not None, record or b"", told))
    return found


def without_line(store: Store, partition: int, kind: str, names: Sequence[str]) -> list[str]:
    """The instances of which there are keys of a kind, and no line; lines that by:id does not have.

    `kind`: as `Place` has it; `i` for lines.
    """
    keys, calls = keys_of(partition), list[Command]()
    for name in names:
        calls.append(("EXISTS", f"{keys.prefix}{kind}:{name}"))
        on_list = ("ZSCORE", keys.by_id, name)
        calls.append(on_list if kind == "i" else ("EXISTS", keys.instance + name))
    answers = store.batch(calls) if calls else []
    pairs = zip(names, answers[::2], answers[1::2], strict=True)
    missing = None if kind == "i" else 0
    return [name for name, there, fits in pairs if there and fits == missing]
