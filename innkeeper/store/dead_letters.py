"""Dead letters: entries that could not be folded, and work that was given up.

Listed, requeued and dropped by operators; made by `commit.py` and `outbox.py`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.store.connection import Command, Store
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, partition_in

_letters = msgspec.json.Decoder


class Subject(StrEnum):
    """What died."""

    ENTRY = "entry"
    WORK = "work"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What died, when and why. `error` is redacted; `detail` its traceback, redacted too.

    `id`: `<partition>-…`, the delivery's own for an entry. `entry`: the stream id of the entry that
    it goes back to, kept as long as this is. `name`: the follow-up's, or `handshake`. `lane`: where
    work waited.
    """

    id: str
    subject: Subject
    at: datetime
    instance: str
    delivery: DeliveryId
    entry: str
    name: str
    error: str
    detail: str = ""
    attempts: int = 0
    work: str | None = None
    lane: str | None = None
    bell: str | None = None


class DeadLetters:
    """Reads the dead letters. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store
        self._decode = _letters(DeadLetter).decode

    def newest(self, limit: int, *, before: tuple[int, str] | None = None) -> list[DeadLetter]:
        """The newest ones, at most `limit`; older than `before` (milliseconds and id)."""
        top = f"({before[0]}" if before else "+inf"
        calls: list[Command] = [
            ("ZRANGE", keys_of(p).dead, top, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit)
            for p in PARTITIONS
        ]
        if before:
            # A whole batch may have died within one millisecond.
            calls += [("ZRANGE", keys_of(p).dead, *before[:1] * 2, "BYSCORE") for p in PARTITIONS]
        ids = [id_.decode() for answer in self._store.batch(calls) for id_ in answer]
        letters = [letter for letter in self._records(ids) if letter]
        letters.sort(key=position, reverse=True)
        return [letter for letter in letters if before is None or position(letter) < before][:limit]

    def find(self, letter_id: str) -> DeadLetter | None:
        """One by its id; raises ValueError for what is no id."""
        partition_in(letter_id)
        return self._records([letter_id])[0]

    def count(self) -> int:
        """How many there are."""
        return sum(self._store.batch([("ZCARD", keys_of(p).dead) for p in PARTITIONS]))

    def drop_entry(self, letter: DeadLetter) -> bool:
        """Take an entry's dead letter away; False if it was gone."""
        keys = keys_of(partition_in(letter.id))
        removed, _, _ = self._store.batch(
            [
                ("ZREM", keys.dead, letter.id),
                ("HDEL", keys.dead_records, letter.id),
                ("ZREM", keys.pins, letter.id),
            ]
        )
        return bool(removed)

    def _records(self, ids: list[str]) -> list[DeadLetter | None]:
        calls = [("HGET", keys_of(partition_in(id_)).dead_records, id_) for id_ in ids]
        answers = self._store.batch(calls) if calls else []
        return [self._decode(answer) if answer else None for answer in answers]


def position(letter: DeadLetter) -> tuple[int, str]:
    """Where a dead letter stands in the list."""
    return int(letter.at.timestamp() * 1000), letter.id
