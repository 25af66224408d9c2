"""Folds a batch of entries with the machine, in memory, into one commit.

Used by apply. Each `take` leaves either all of its entry in the commit or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey, Mark
from innkeeper.lifecycle.follow_ups import idempotency_key
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.machine import REPEATS_NOTHING
from innkeeper.lifecycle.transitions import Happening, Transition
from innkeeper.operations.desk import Desk
from innkeeper.operations.refolding import DEAD, REPETITION, refold
from innkeeper.store.commit import Commit
from innkeeper.store.dead_letters import DeadLetter, Subject
from innkeeper.store.entry import Entry, EntrySource
from innkeeper.store.erasing import remains_of
from innkeeper.store.outbox import LaneKind, Work, WorkKind
from innkeeper.store.register import seal_secret, secret_fields


class _Secrets(NamedTuple):
    """An instance's encrypted secrets: as they were stored, and what this batch brought."""

    known: dict[str, bytes]
    new: dict[str, bytes]


class Folding:
    """One batch of one partition."""

    def __init__(self, desk: Desk, partition: int, cursor: str, entries: Iterable[Entry]) -> None:
        """Read the instances that `entries` are about, in one round trip."""
        self._desk = desk
        self.commit = Commit(partition, cursor)
        keys = sorted({e.instance for e in entries if e.mark is None and not e.instance.is_pseudo})
        lines = zip(keys, desk.register.lines(keys), strict=True)
        self._before: dict[InstanceKey, Instance | None] = {
            key: line.instance if line else None for key, line in lines
        }
        self._after = dict(self._before)
        self._secrets: dict[InstanceKey, _Secrets] = {}
        self._outcomes: dict[DeliveryId, str] = {}
        self.works = 0

    def take(self, entry: Entry) -> str:
        """Fold one entry; its outcome. Raises what the fold raises, leaving no trace."""
        if entry.mark is Mark.UNDECODABLE:
            notes = "; ".join(entry.event(self._desk.ring).notes)
            return self.bury(entry, f"the content cannot be understood: {notes}")
        if entry.mark is not None:
            return self._settle(entry, entry.mark)
        if entry.replays and self._outcome(entry.replays) in REPEATS_NOTHING:
            return self._repeat(entry)
        return self._fold(entry, entry.event(self._desk.ring))

    def bury(self, entry: Entry, error: str, detail: str = "") -> str:
        """Make an entry a dead letter."""
        letter = DeadLetter(
            id=entry.delivery,
            subject=Subject.ENTRY,
            at=datetime.now(UTC),
            instance=str(entry.instance),
            delivery=entry.delivery,
            entry=entry.stream_id,
            name="entry",
            error=error,
            detail=detail,
        )
        self.commit.dead_letter(letter)
        return self._settle(entry, DEAD)

    def finish(self) -> None:
        """Put the instances and their secrets, as the batch leaves them, into the commit."""
        for key, after in self._after.items():
            before = self._before[key]
            if after is None or after == before:
                continue
            self.commit.instance(before, after)
            if before and before.secrets and not after.secrets:
                self._known_secrets(key)
            if key in self._secrets:
                held = self._secrets[key]
                stored = held.known | held.new
                fields = secret_fields(after)
                kept = {field: stored[field] for field in fields if field in stored}
                self.commit.secrets(key, set(held.known), kept)

    def _fold(self, entry: Entry, event: Event) -> str:
        key = entry.instance
        folded = refold(self._after.get(key), entry, event, self._desk.digests.of(key))
        if event.kind is EventKind.FORGOTTEN:
            self._forget(key)
        sealed = self._sealed(key, folded.instance, event, entry)
        only = str(event.payload) if event.kind is EventKind.SET_OFF else None
        steps = [self._set_off(entry, happening, only) for happening in folded.happenings]
        if not key.is_pseudo:
            self._after[key] = folded.instance
        if sealed:
            self._secrets[key].new.update(sealed)
        for happening, works in steps:
            self._put(key, happening, works)
        if folded.confirm:
            self._confirm(entry)
        notes = f" ({'; '.join(event.notes)})" if event.notes else ""
        return self._settle(entry, f"{folded.outcome}{notes}")

    def _forget(self, key: InstanceKey) -> None:
        """Delete the instance here, so that what comes later in the batch is its first."""
        before = self._before.get(key)
        remains = remains_of(self._desk.store, self._desk.register, key)
        self.commit.forget(key, before.status if before else None, remains)
        self._before[key] = self._after[key] = None
        self._secrets[key] = _Secrets({}, {})

    def _sealed(
        self, key: InstanceKey, after: Instance | None, event: Event, entry: Entry
    ) -> dict[str, bytes]:
        """The event's secrets, encrypted, by field; those that the instance does not hold too."""
        if not event.secrets or after is None:
            return {}
        held, sealed = self._known_secrets(key), {}
        for field, (name, digest) in secret_fields(after).items():
            if name not in event.secrets or field in held.known or field in held.new:
                continue
            value = event.secrets[name]
            if self._desk.digests.of(key)(name, value) == digest:
                sealed[field] = seal_secret(self._desk.ring, key, name, value, now=entry.at)
        return sealed

    def _known_secrets(self, key: InstanceKey) -> _Secrets:
        if key not in self._secrets:
            known = self._desk.register.sealed_secrets([key])[0]
            self._secrets[key] = _Secrets(known, {})
        return self._secrets[key]

    def _set_off(
        self, entry: Entry, happening: Transition, only: str | None = None
    ) -> tuple[Transition, list[Work]]:
        """What a happening sets off: work for each follow-up that wants it, or for `only` one."""
        key = entry.instance
        if happening.name is Happening.HANDSHAKE:
            names, kind, lane = ["handshake"], WorkKind.HANDSHAKE, LaneKind.PLATFORM
        else:
            wanting = self._desk.config.follow_ups
            names = [f.name for f in wanting if f.wants(happening.name, key.platform, key.app)]
            names = names if only is None else [only]
            kind = WorkKind.FOLLOW_UP
            lane = LaneKind.APP if happening.name is Happening.APP_EVENT else LaneKind.LIFECYCLE
        ids = {n: idempotency_key(key, entry.delivery, happening.id, n) for n in names}
        happening = replace(happening, follow_ups=ids)
        works = [
            Work(
                id=id_,
                kind=kind,
                instance=key,
                lane=lane,
                name=name,
                delivery=happening.delivery,
                entry=entry.stream_id,
                transition=happening,
            )
            for name, id_ in ids.items()
        ]
        return happening, works

    def _confirm(self, entry: Entry) -> None:
        """Have the instance read back. Wishes that a read has settled meanwhile cost no other."""
        key = entry.instance
        work = Work(
            id=idempotency_key(key, entry.delivery, "confirm", "confirm"),
            kind=WorkKind.CONFIRM,
            instance=key,
            lane=LaneKind.PLATFORM,
            name="confirm",
            delivery=entry.delivery,
            entry=entry.stream_id,
        )
        self.commit.work(work)
        self.works += 1

    def _repeat(self, entry: Entry) -> str:
        """A replay of what was applied: changes nothing, and sets off again only if asked to."""
        if entry.follow_ups:
            register, key = self._desk.register, entry.instance
            history = [*register.transitions(key), *register.notices(key)]
            # By their ids: what an earlier replay set off names the first delivery as well.
            for happening in (h for h in history if h.id.startswith(f"{entry.replays}.")):
                again = replace(happening, id=f"{entry.delivery}.{happening.id}", number=0)
                self._put(key, *self._set_off(entry, again))
        return self._settle(entry, REPETITION)

    def _put(self, key: InstanceKey, happening: Transition, works: list[Work]) -> None:
        self.commit.happening(key, happening)
        for work in works:
            self.commit.work(work)
        self.works += len(works)

    def _settle(self, entry: Entry, outcome: str) -> str:
        if entry.source is EntrySource.DELIVERY:
            self.commit.heard(entry.instance, entry.at)
        self.commit.outcome(entry.delivery, outcome, dead=outcome == DEAD)
        self._outcomes[entry.delivery] = outcome
        return outcome

    def _outcome(self, delivery: DeliveryId) -> str:
        told = self._outcomes.get(delivery) or self._desk.log.outcome(delivery)
        return told.partition(" ")[0]
