"""Erasing an instance: what apply deletes with its line, and what is purged once that is done.

Used by apply and by `forget`. What stays is a tombstone: a keyed digest of the name, when it was
forgotten, and how many entries went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.store.connection import Command, Store, script
from innkeeper.store.dead_letters import DeadLetter
from innkeeper.store.digests import Digests
from innkeeper.store.entry import Entry, place, raw_id
from innkeeper.store.keys import keys_of
from innkeeper.store.log import Log
from innkeeper.store.outbox import Lane, LaneKind, Work
from innkeeper.store.partitions import partition_of
from innkeeper.store.register import Register

MOST_WORKS = 1000
"""How much work, and how many dead letters, go with an instance's line: no script may hold the
server for long. `Erasing.works` takes care of what is more."""
_PIECE = 100
_NAMES = 1000
_letters = msgspec.json.Decoder(DeadLetter)
_works = msgspec.json.Decoder(Work)


class Remains(NamedTuple):
    """What stands elsewhere about an instance, by id: work, done and undone, and dead letters."""

    works: list[str]
    letters: list[str]


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """That an instance was forgotten: when last, and how many entries of the log went with it."""

    at: datetime
    entries: int


def tombstones(
    store: Store, digests: Digests, asked: Iterable[InstanceKey]
) -> dict[InstanceKey, Tombstone]:
    """The tombstones of those that have one. Raises MissingKey, StoreError, StoreUnavailable."""
    keys = list(asked)
    calls = [("HGET", keys_of(partition_of(key)).forgotten, digests.of_name(key)) for key in keys]
    answers = zip(keys, store.batch(calls) if calls else [], strict=True)
    return {key: msgspec.json.decode(found, type=Tombstone) for key, found in answers if found}


def remains_of(store: Store, register: Register, key: InstanceKey) -> Remains:
    """What apply has to delete with an instance's line. Raises StoreError, StoreUnavailable."""
    keys = keys_of(partition_of(key))
    queues = [("LRANGE", keys.queue + Lane(key, kind).name, 0, MOST_WORKS) for kind in LaneKind]
    works = [id_.decode() for queue in store.batch(queues) for id_ in queue]
    history = [*register.notices(key), *register.transitions(key)[-MOST_WORKS:]]
    works += [id_ for happening in history for id_ in happening.follow_ups.values()]
    letters = [letter.id for letter in islice(_letters_of(store, key), MOST_WORKS)]
    return Remains(list(dict.fromkeys(works))[:MOST_WORKS], letters)


class Erasing:
    """Purges what is left of one instance. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store, log: Log, digests: Digests, key: InstanceKey) -> None:
        """`digests` make the name on the tombstone. May raise MissingKey."""
        self._store = store
        self._log = log
        self._key = key
        self._partition = partition_of(key)
        self._keys = keys_of(self._partition)
        self._name = digests.of_name(key)

    def entries(self, last: str, *, at: datetime) -> int:
        """Purge its entries up to stream id `last`, the oldest first; how many went.

        In this order: what is purged in part folds to the same, for `last` says that all before it
        is forgotten.
        """
        count = self._purge([], at)  # the tombstone, before anything is missing
        for found in self._entries(last):
            for start in range(0, len(found), _PIECE):
                count += self._purge(found[start : start + _PIECE], at)
        return count

    def works(self, last: str) -> int:
        """Delete its work that goes back to an entry up to `last`, done or not; how much it was."""
        count = 0
        for names in self._store.scan(match=f"{self._keys.work}*", count=_NAMES):
            specs = self._store.batch([("HGET", name, "spec") for name in names]) if names else []
            gone = [work for work in map(_work, specs) if work and self._is_past(work, last)]
            if gone:
                self._store.batch([call for work in gone for call in self._without(work)])
            count += len(gone)
        return count

    def _entries(self, last: str) -> Iterator[list[Entry]]:
        for found in self._log.pieces(self._partition, limit=_NAMES):
            old = [entry for entry in found if place(entry.stream_id) <= place(last)]
            yield [entry for entry in old if entry.instance == self._key]
            if len(old) < len(found):
                return

    def _purge(self, entries: list[Entry], at: datetime) -> int:
        keys, parts = self._keys, [self._name, at.isoformat()]
        pairs: list[Any] = [p for e in entries for p in (e.stream_id, raw_id(e.delivery))]
        names = [keys.log, keys.events, keys.bodies, keys.outcomes, keys.counts, keys.forgotten]
        calls: list[Command] = [script("purge").call(names, [*parts, *pairs])]
        if entries:
            letters = [entry.delivery for entry in entries]
            calls += [
                ("ZREM", keys.dead, *letters),
                ("HDEL", keys.dead_records, *letters),
                ("ZREM", keys.pins, *letters),
            ]
        return int(self._store.batch(calls)[0])

    def _without(self, work: Work) -> list[Command]:
        keys, letter = self._keys, f"{self._partition}-{work.id}"
        return [
            ("DEL", keys.work + work.id),
            ("ZREM", keys.pins, work.id),
            ("ZREM", keys.dead, letter),
            ("HDEL", keys.dead_records, letter),
        ]

    def _is_past(self, work: Work, last: str) -> bool:
        return work.instance == self._key and place(work.entry) <= place(last)


def _letters_of(store: Store, key: InstanceKey) -> Iterator[DeadLetter]:
    for found in store.scan(keys_of(partition_of(key)).dead_records, count=_PIECE):
        for record in found.values():
            letter = _letters.decode(record)
            if letter.instance == str(key):
                yield letter


def _work(spec: bytes | None) -> Work | None:
    return _works.decode(spec) if spec else None
