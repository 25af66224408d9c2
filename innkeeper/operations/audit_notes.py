"""Audits the log against what this host's receivers noted of their own 202s.

Used by `audit`. Each delivery that claims still vouch for is in the log, leads to the one that it
repeats, waits in this host's spool, or was forgotten. What is nowhere is lost, and is told customer
by customer, for not every marketplace says it again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import msgspec

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.operations.accepted import Note, read_notes
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import seconds_utc
from innkeeper.operations.findings import Finding, lasting
from innkeeper.spool import held_ids
from innkeeper.store.erasing import tombstones
from innkeeper.store.log import CLAIM_PERIOD_SECONDS
from innkeeper.store.partitions import partition_in
from innkeeper.store.stored_entries import are_missing

_PIECE = 1000
_NAMED = 20


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries that were accepted and are nowhere, of one customer.

    `deliveries`: how many; `ids`: the first 20. `status`: of the customer's instance now, None
    where the register does not know it. `secrets_missing`: it holds no secret that is in force.
    """

    instance: str
    deliveries: int
    ids: list[str]
    first_at: datetime
    last_at: datetime
    status: Status | None = None
    secrets_missing: bool = True


class NotesAudit:
    """Holds the notes against the log; `notes`: how many so far."""

    def __init__(self, desk: Desk) -> None:
        """Read the notes of the desk's data folder."""
        self._desk = desk
        self.notes = 0
        self._oldest = time.time() - CLAIM_PERIOD_SECONDS

    def lost(self) -> list[Lost]:
        """What is nowhere. Raises SpoolUnavailable, StoreError, StoreUnavailable, MissingKey."""
        found: dict[str, Lost] = {}
        for note, _ in lasting(self._look, self._pieces()):
            found[note.instance] = _with(found.get(note.instance), note)
        return [self._as_of_now(found[name]) for name in sorted(found)]

    def _pieces(self) -> Iterator[list[Note]]:
        piece: list[Note] = []
        for note in read_notes(self._desk.config.data):
            if note.at > self._oldest:
                piece.append(note)
            if len(piece) == _PIECE:
                self.notes += _PIECE
                yield piece
                piece = []
        self.notes += len(piece)
        yield piece

    def _look(self, notes: list[Note]) -> list[tuple[Note, Finding]]:
        # First the spool: what is drained meanwhile is in the log by the time that it is asked.
        spooled = held_ids(self._desk.config.data)
        places = self._desk.log.stored([note.delivery for note in notes])
        there = [(partition_in(delivery), place) for delivery, place in places.items()]
        answers = are_missing(self._desk.store, there)
        gone = {d for d, missing in zip(places, answers, strict=True) if missing}
        doubtful = [note for note in notes if note.delivery not in places or note.delivery in gone]
        doubtful = [note for note in doubtful if note.delivery not in spooled]
        forgotten = self._forgotten_at({note.instance for note in doubtful})
        return [(n, _lost(n.delivery)) for n in doubtful if n.at > forgotten.get(n.instance, 0.0)]

    def _forgotten_at(self, names: set[str]) -> dict[str, float]:
        """When those of the instances that ever were were last forgotten."""
        stones = tombstones(self._desk.store, self._desk.digests, map(InstanceKey.parse, names))
        return {str(key): stone.at.timestamp() for key, stone in stones.items()}

    def _as_of_now(self, lost: Lost) -> Lost:
        line = self._desk.register.line(InstanceKey.parse(lost.instance))
        if line is None:
            return lost
        instance = line.instance
        missing = not instance.has_secrets
        return msgspec.structs.replace(lost, status=instance.status, secrets_missing=missing)


def _with(known: Lost | None, note: Note) -> Lost:
    at = seconds_utc(note.at)
    if known is None:
        ids = [str(note.delivery)]
        return Lost(instance=note.instance, deliveries=1, ids=ids, first_at=at, last_at=at)
    return msgspec.structs.replace(
        known,
        deliveries=known.deliveries + 1,
        ids=[*known.ids, note.delivery][:_NAMED],
        first_at=min(known.first_at, at),
        last_at=max(known.last_at, at),
    )


def _lost(delivery: DeliveryId) -> Finding:
    return Finding(what="entry", id=delivery, says="was accepted and is lost")
