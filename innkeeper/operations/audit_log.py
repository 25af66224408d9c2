"""Audits a partition's log: does it balance, has each entry its parts, and an outcome when folded.

Used by `audit`. What trimming or forgetting drops meanwhile spoils the sums: then all is counted
again.
"""

from __future__ import annotations

import time

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.operations.findings import Finding
from innkeeper.store.entry import delivery_id, place
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from innkeeper.store.stored_entries import (
    StoredEntry,
    dropped,
    fields_of,
    slices,
    tally,
)

_LOOKS = 20
_PAUSE_SECONDS = 0.1


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a partition, or of all: entries, and bytes of the log."""

    accepted: int = 0
    duplicate: int = 0
    applied: int = 0
    dead: int = 0
    pending: int = 0
    trimmed: int = 0
    forgotten: int = 0
    kept: int = 0
    bytes: int = 0

    def plus(self, other: Balance) -> Balance:
        """Both together."""
        names = self.__struct_fields__
        return Balance(**{name: getattr(self, name) + getattr(other, name) for name in names})


def audit_log(desk: Desk, partition: int) -> tuple[Balance, list[Finding]]:
    """Count and look through a partition's log. Raises StoreError, StoreUnavailable."""
    for _ in range(_LOOKS):
        walk = _Walk(desk, partition)
        if walk.told == dropped(desk.store, partition):
            break
        time.sleep(_PAUSE_SECONDS)
    return walk.balance, walk.findings


class _Walk:
    """One way through a partition's log, as far as it went when its counts were read."""

    def __init__(self, desk: Desk, partition: int) -> None:
        self._desk = desk
        self._partition = partition
        self._tally = tally(desk.store, partition)
        self._own: set[bytes] = set()
        self._bytes = 0
        self._pending = 0
        self.findings: list[Finding] = []
        self._look()
        self._weigh()

    @property
    def told(self) -> tuple[int, int]:
        """How many entries were dropped before the counts were read."""
        counts = self._tally.counts
        return counts.get("trimmed", 0), counts.get("forgotten", 0)

    @property
    def balance(self) -> Balance:
        """The sums."""
        told = self._tally.counts
        counts = {n: told[n] for n in Balance.__struct_fields__ if n in told}
        return Balance(**counts, pending=self._pending, kept=self._tally.entries)

    def _look(self) -> None:
        cursor, last = place(self._tally.cursor), place(self._tally.last)
        for cursor_now, entries in slices(self._desk.store, self._partition):
            for entry in entries:
                at = place(entry.stream_id)
                self._own.add(entry.own)
                self._look_at(entry, folded=at <= place(cursor_now))
                if at <= last:
                    self._pending += at > cursor
                    self._bytes += entry.fields_size + entry.event_size + entry.body_size

    def _look_at(self, entry: StoredEntry, *, folded: bool) -> None:
        if folded and not entry.outcome:
            self._find(entry.own, "lies before the cursor and has no outcome")
        if entry.outcome and not folded:
            self._find(entry.own, f"is not folded yet and has the outcome {entry.outcome}")
        if not entry.event_size:
            self._find(entry.own, "has no event")
        if not entry.body_size:
            self._find(entry.own, "has no body")
        if partition_of(InstanceKey.parse(entry.instance)) != self._partition:
            self._find(entry.own, f"lies in partition {self._partition}, which is not its own")

    def _weigh(self) -> None:
        told, sums = self._tally, self.balance
        settled = sums.applied + sums.dead + sums.pending
        left = sums.accepted - sums.trimmed - sums.forgotten
        pairs = (
            (sums.accepted, settled, "accepted", "applied, dead or pending"),
            (told.entries, left, "entries", "accepted and neither trimmed nor forgotten"),
            (sums.bytes, self._bytes, "bytes counted", "bytes in the log"),
        )
        for counted, weighed, name, against in pairs:
            if counted != weighed:
                says = f"{counted} {name}, {weighed} {against}"
                self.findings.append(Finding(what="partition", id=str(self._partition), says=says))
        keys = keys_of(self._partition)
        parts = (
            (told.events, told.entries, "an event", keys.events),
            (told.bodies, told.entries, "a body", keys.bodies),
            (told.outcomes, told.entries - sums.pending, "an outcome", keys.outcomes),
        )
        for there, due, part, name in parts:
            if there > due:
                self._find_orphans(part, name)

    def _find_orphans(self, part: str, name: str) -> None:
        """Name the parts whose entry is not in the log; what came in meanwhile has one."""
        orphans = {own for own in fields_of(self._desk.store, name) if own not in self._own}
        if orphans:
            for _, entries in slices(self._desk.store, self._partition):
                orphans -= {entry.own for entry in entries}
        for own in sorted(orphans):
            self._find(own, f"has {part} and is not in the log")

    def _find(self, own: bytes, says: str) -> None:
        delivery = delivery_id(self._partition, own)
        self.findings.append(Finding(what="entry", id=delivery, says=says))
