"""Looks at the register as it lies there, damage included.

Used by `audit` and `rebuild`. Gives raw facts and judges nothing. Every function raises StoreError,
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from innkeeper.lifecycle.instance import Status
from innkeeper.lifecycle.transitions import Transition
from innkeeper.store.bases import Base, read_base
from innkeeper.store.connection import Store, script
from innkeeper.store.keys import keys_of

_PIECE = 500
_LINES = 50
_transitions = msgspec.json.Decoder(Transition)


def index_sizes(store: Store, indexes: Sequence[Sequence[str]]) -> list[int]:
    """How many members indexes hold, each a sorted set or several together."""
    sizes = iter(store.batch([("ZCARD", name) for index in indexes for name in index]))
    return [sum(next(sizes) for _ in index) for index in indexes]


def index_pieces(store: Store, name: str) -> Iterator[list[str]]:
    """The members of a sorted set, in pieces; one that moves meanwhile may be left out."""
    start = 0
    while found := store.command("ZRANGE", name, start, start + _PIECE - 1):
        yield [member.decode() for member in found]
        if len(found) < _PIECE:
            return
        start += _PIECE


class StoredLine(NamedTuple):
    """A line of the register with its base and its encrypted secrets by field, of one moment.

    `cursor`: up to where its partition had been folded then.
    """

    name: str
    cursor: str
    record: bytes
    created: bytes
    base: Base | None
    secrets: dict[str, bytes]


def lines(store: Store, partition: int, names: Sequence[str]) -> Iterator[StoredLine]:
    """The lines of instances; the record of one that is not there is empty."""
    keys = keys_of(partition)
    for start in range(0, len(names), _LINES):
        piece = names[start : start + _LINES]
        names_of = [keys.instance, keys.base, keys.secrets, keys.cursor]
        cursor, found = store.command(*script("lines").call(names_of, piece))
        for name, (record, created, base, fields) in zip(piece, found, strict=True):
            pairs = zip(fields[::2], fields[1::2], strict=True)
            secrets = {field.decode(): value for field, value in pairs}
            held = read_base(base) if base else None
            yield StoredLine(name, cursor.decode(), record, created, held, secrets)


class History(NamedTuple):
    """What happened to an instance, oldest first; None in the place of what cannot be read."""

    name: str
    transitions: list[Transition | None]
    notices: list[Transition | None]


def histories(store: Store, partition: int, names: Iterable[str]) -> Iterator[History]:
    """What happened to each instance."""
    keys, waiting = keys_of(partition), list(names)
    for start in range(0, len(waiting), _LINES):
        piece = waiting[start : start + _LINES]
        lists = [(prefix + name) for name in piece for prefix in (keys.transitions, keys.notices)]
        answers = store.batch([("LRANGE", list_, 0, -1) for list_ in lists])
        for name, steps, notices in zip(piece, answers[::2], answers[1::2], strict=True):
            yield History(name, list(map(_step, steps)), list(map(_step, notices)))


def _step(item: bytes) -> Transition | None:
    try:
        return _transitions.decode(item)
    except msgspec.DecodeError:
        return None


class IndexedLine(NamedTuple):
    """A line of the register as it lies there, and its places in the indexes, of one moment."""

    name: str
    record: bytes
    created: bytes
    updated: bytes
    entry: bytes
    by_id: bytes
    by_created: bytes
    by_updated: bytes
    by_policy: bytes
    policies: bytes
    transitions: int
    statuses: list[str]


def indexed(store: Store, partition: int, names: Sequence[str]) -> Iterator[IndexedLine]:
    """Lines with their indexes, in the order asked for."""
    keys = keys_of(partition)
    where = [
        keys.instance, keys.by_id, keys.by_created, keys.by_updated,
        keys.by_status, keys.with_policy, keys.policy, keys.transitions,
    ]  # fmt: skip
    for start in range(0, len(names), _LINES):
        piece = names[start : start + _LINES]
        call = script("indexed").call(where, [len(Status), *Status, *piece])
        for name, row in zip(piece, store.command(*call), strict=True):
            statuses = [status.decode() for status in row[10:]]
            yield IndexedLine._make([name, *row[:10], statuses])
