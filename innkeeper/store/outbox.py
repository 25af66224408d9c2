"""The outbox: work that stands to be done for instances, in lanes, and who holds a lane now.

Filled by `commit.py`; taken from and settled by the perform and marketplaces jobs. What is due is
known here alone: a bell only says "look now".
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.transitions import Transition
from innkeeper.store.connection import Store, script
from innkeeper.store.dead_letters import DeadLetter, Subject, position
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, partition_in, partition_of

LEASE_SECONDS = 15
KEEP_SECONDS = 30 * 86400
"""How long it can be told that work was done."""


class LaneKind(StrEnum):
    """Order and blocking hold within a lane; lanes of an instance do not wait for each other."""

    PLATFORM = "platform"
    LIFECYCLE = "lifecycle"
    APP = "app"


class Lane(NamedTuple):
    """One lane of one instance."""

    instance: InstanceKey
    kind: LaneKind

    @property
    def name(self) -> str:
        """Its name in the store."""
        return f"{self.kind}|{self.instance}"

    @classmethod
    def parse(cls, name: str) -> Lane:
        """The reverse of `name`."""
        kind, _, instance = name.partition("|")
        return cls(InstanceKey.parse(instance), LaneKind(kind))


class WorkKind(StrEnum):
    """What there is to do."""

    FOLLOW_UP = "follow_up"
    HANDSHAKE = "handshake"
    CONFIRM = "confirm"


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A thing to do. `id` is its idempotency key; `entry` the stream id of the entry behind it.

    `name`: the follow-up's. `transition`: what set it off.
    """

    id: str
    kind: WorkKind
    instance: InstanceKey
    lane: LaneKind
    name: str
    delivery: DeliveryId
    entry: str
    transition: Transition | None = None

    @property
    def bell(self) -> str:
        """Whom to ring for it."""
        return _bell_of(self.lane)


class WorkState(msgspec.Struct, frozen=True, kw_only=True):
    """How far work has come. `state`: waiting, running, later, done, dead or dropped.

    `lost`: how many attempts ended without being settled, their process with them.
    """

    work: Work
    state: str
    attempts: int
    first_at: datetime | None
    at: datetime | None
    error: str
    lost: int = 0


class Taken(NamedTuple):
    """A lane's head, held under a fence number. `more`: other lanes are due as well."""

    partition: int
    lane: str
    fence: int
    state: WorkState
    more: bool


class LaneState(NamedTuple):
    """How a lane stands: how much work is in it, when its head is due, which work blocks it."""

    length: int
    due_at: datetime | None
    blocked_by: str | None


class Probe(NamedTuple):
    """What a partition has to do: entries behind the cursor; per bell whether anything is due."""

    behind: bool
    due: dict[str, bool]


BELLS_OF_OUTBOX = ("perform", "marketplaces")
_works = msgspec.json.Decoder(Work)


class Outbox:
    """Takes and settles work. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store

    def probe(self) -> list[Probe]:
        """What each partition has to do, in one round trip."""
        calls = []
        for partition in PARTITIONS:
            keys = keys_of(partition)
            names = [keys.log, keys.cursor, *(keys.due + bell for bell in BELLS_OF_OUTBOX)]
            calls.append(script("probe").call(names, []))
        return [
            Probe(
                behind=bool(behind),
                due={bell: bool(d[0]) for bell, d in zip(BELLS_OF_OUTBOX, due, strict=True)},
            )
            for behind, *due in self._store.batch(calls)
        ]

    def take(self, partition: int, bell: str) -> Taken | None:
        """The head of the lane that has been due longest, under a lease of 15 s."""
        keys = keys_of(partition)
        call = script("take").call(
            [keys.due + bell, keys.fence, keys.lane, keys.queue, keys.work], [LEASE_SECONDS * 1000]
        )
        answer = self._store.command(*call)
        if answer is None:
            return None
        lane, fence, _, fields, more = answer
        pairs = dict(zip(fields[::2], fields[1::2], strict=True))
        return Taken(partition, lane.decode(), int(fence), _state(pairs), bool(more))

    def renew(self, taken: Taken) -> bool:
        """Lengthen the lease; False if it has passed to another."""
        keys = keys_of(taken.partition)
        call = script("renew").call(
            [keys.due + taken.state.work.bell, keys.lane + taken.lane],
            [taken.lane, taken.fence, LEASE_SECONDS * 1000],
        )
        return bool(self._store.command(*call))

    def done(self, taken: Taken) -> bool:
        """Settle as done; False if the lease had passed to another."""
        return self._settle(taken, "done")

    def later(self, taken: Taken, delay_seconds: float, error: str) -> bool:
        """Settle as to be tried again after a delay."""
        return self._settle(taken, "later", delay_seconds=delay_seconds, error=error)

    def dead(self, taken: Taken, error: str, detail: str, *, block: bool, now: datetime) -> bool:
        """Settle as given up: a dead letter; `block` makes the lane wait for an operator."""
        work, letter_id = taken.state.work, f"{taken.partition}-{taken.state.work.id}"
        letter = DeadLetter(
            id=letter_id,
            subject=Subject.WORK,
            at=now,
            instance=str(work.instance),
            delivery=work.delivery,
            entry=work.entry,
            name=work.name,
            error=error,
            detail=detail,
            attempts=taken.state.attempts,
            work=work.id,
            lane=taken.lane,
            bell=work.bell,
        )
        return self._settle(taken, "dead", error=error, letter=letter, block=block)

    def revive(self, letter: DeadLetter, *, requeue: bool) -> bool:
        """Take dead work up again from its first attempt, or drop it; False if it was gone."""
        keys = keys_of(partition_in(letter.id))
        lane = letter.lane or ""
        call = script("revive").call(
            [
                keys.due + (letter.bell or ""), keys.lane + lane, keys.queue + lane,
                keys.work + (letter.work or ""), keys.pins, keys.dead, keys.dead_records,
            ],
            [lane, letter.work, letter.id, "requeue" if requeue else "drop", KEEP_SECONDS],
        )  # fmt: skip
        return bool(self._store.command(*call))

    def states(self, instance: InstanceKey, ids: list[str]) -> dict[str, WorkState]:
        """How far the work with these ids has come, as far as it can still be told."""
        keys = keys_of(partition_of(instance))
        answers = self._store.batch([("HGETALL", keys.work + id_) for id_ in ids]) if ids else []
        return {id_: _state(answer) for id_, answer in zip(ids, answers, strict=True) if answer}

    def lanes(self, instance: InstanceKey) -> dict[LaneKind, LaneState]:
        """How an instance's lanes stand; those without work are left out."""
        keys, found = keys_of(partition_of(instance)), {}
        for kind in LaneKind:
            lane = Lane(instance, kind).name
            bell = _bell_of(kind)
            length, due, blocked = self._store.batch(
                [
                    ("LLEN", keys.queue + lane),
                    ("ZSCORE", keys.due + bell, lane),
                    ("HGET", keys.lane + lane, "blocked"),
                ]
            )
            if length:
                due_at = _millis(due) if due is not None else None
                found[kind] = LaneState(length, due_at, blocked.decode() if blocked else None)
        return found

    def _settle(
        self,
        taken: Taken,
        verdict: str,
        *,
        delay_seconds: float = 0.0,
        error: str = "",
        letter: DeadLetter | None = None,
        block: bool = False,
    ) -> bool:
        keys, work = keys_of(taken.partition), taken.state.work
        record = msgspec.json.encode(letter) if letter else b""
        call = script("settle").call(
            [
                keys.due + work.bell, keys.lane + taken.lane, keys.queue + taken.lane,
                keys.work + work.id, keys.pins, keys.dead, keys.dead_records,
            ],
            [
                taken.lane, taken.fence, work.id, verdict, int(delay_seconds * 1000), error,
                letter.id if letter else "", record, position(letter)[0] if letter else 0,
                int(block), KEEP_SECONDS,
            ],
        )  # fmt: skip
        return bool(self._store.command(*call))


def _state(fields: dict[bytes, Any]) -> WorkState:
    first_at, at = fields.get(b"first_at"), fields.get(b"at")
    return WorkState(
        work=_works.decode(fields[b"spec"]),
        state=fields[b"state"].decode(),
        attempts=int(fields[b"attempts"]),
        first_at=_millis(first_at) if first_at else None,
        at=_millis(at) if at else None,
        error=fields.get(b"error", b"").decode(),
        lost=int(fields.get(b"lost", 0)),
    )


def _bell_of(kind: LaneKind) -> str:
    return "marketplaces" if kind is LaneKind.PLATFORM else "perform"


def _millis(value: bytes | float) -> datetime:
    return datetime.fromtimestamp(int(value) / 1000, UTC)
