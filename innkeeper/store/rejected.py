"""Refused deliveries, kept whole and encrypted in rings: one per app and reason.

Written by the receiver off its hot path; listed and retried by operators. A ring is bounded by
count, bytes and age, so that a flood pushes out nothing but its own kind.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from innkeeper.lifecycle.errors import Reason
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Command, Store, script
from innkeeper.store.entry import Captured
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, partition_in, partition_of

MAX_COUNT = 200
MAX_BYTES = 4 << 20
PURPOSE = "rejected"
"""For which a refusal is sealed; its place is its id."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refused delivery. `credential`: a keyed digest of what it bore, to compare with today's.

    `detail` may quote header fields and claims of an unproven sender, never a secret of ours.
    """

    at: float
    reason: Reason
    detail: str = ""
    captured: Captured
    credential: str | None = None


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as kept: under an id, for an app (its pseudo-instance)."""

    id: str
    app: InstanceKey
    refusal: Refusal


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """How many refusals of an app are kept for a reason; `newest_at` in seconds."""

    app: InstanceKey
    reason: Reason
    count: int
    newest_at: float


class _Place(NamedTuple):
    partition: int
    ring: str


def keep_command(
    app: InstanceKey, refusal: Refusal, ring: KeyRing, *, max_age_seconds: float
) -> Command:
    """The call that keeps a refusal of an app's, and drops what is older than that."""
    place = _Place(partition_of(app), f"{app}:{refusal.reason}")
    name = f"{place.partition}-{uuid.uuid4()}"
    plain = msgspec.msgpack.encode(refusal)
    sealed = ring.seal(PURPOSE, place.partition, name, plain, now=refusal.at)
    keys = keys_of(place.partition)
    return script("refuse").call(
        [keys.rejected + place.ring, keys.rejected_bytes, keys.rejected_rings],
        [place.ring, name, sealed, MAX_COUNT, MAX_BYTES, int(max_age_seconds)],
    )


class Rejected:
    """Reads the rings. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store, ring: KeyRing, *, max_age_seconds: float) -> None:
        """Use `store`; what is older than `max_age_seconds` is not shown."""
        self._store = store
        self._ring = ring
        self._max_age_seconds = max_age_seconds

    def all(self, *, now: float, reason: str | None = None) -> list[Rejection]:
        """Every refusal kept, newest first."""
        found = []
        for place in self._rings():
            if reason is not None and not place.ring.endswith(f":{reason}"):
                continue
            name = keys_of(place.partition).rejected + place.ring
            found += self._read(place, self._store.command("XRANGE", name, "-", "+"))
        oldest = now - self._max_age_seconds
        fresh = [rejection for rejection in found if rejection.refusal.at >= oldest]
        return sorted(fresh, key=lambda one: (one.refusal.at, one.id), reverse=True)

    def find(self, rejection_id: str, *, now: float) -> Rejection | None:
        """One by its id. Raises ValueError for what is no id."""
        partition_in(rejection_id)
        return next((one for one in self.all(now=now) if one.id == rejection_id), None)

    def rings(self) -> list[Ring]:
        """What is kept, by app and reason, without a look at any."""
        keys = map(keys_of, PARTITIONS)
        calls = [script("rings").call([k.rejected_rings], [k.rejected]) for k in keys]
        found = []
        for name, count, newest in (ring for rings in self._store.batch(calls) for ring in rings):
            app, _, reason = name.decode().rpartition(":")
            newest_at = int(newest.partition(b"-")[0]) / 1000
            ring = Ring(
                app=InstanceKey.parse(app),
                reason=Reason(reason),
                count=count,
                newest_at=newest_at,
            )
            found.append(ring)
        return sorted(found, key=lambda ring: (ring.app, ring.reason))

    def drop(self, rejection: Rejection) -> None:
        """Take a refusal away, for it was let in."""
        place = _Place(partition_of(rejection.app), f"{rejection.app}:{rejection.refusal.reason}")
        keys = keys_of(place.partition)
        name = keys.rejected + place.ring
        for stream_id, fields in self._store.command("XRANGE", name, "-", "+"):
            if fields[b"id"].decode() != rejection.id:
                continue
            # Of two who drop it at once, only the one who did takes its bytes off.
            if self._store.command("XDEL", name, stream_id):
                size = len(fields[b"sealed"])
                self._store.command("HINCRBY", keys.rejected_bytes, place.ring, -size)

    def _rings(self) -> list[_Place]:
        answers = self._store.batch([("SMEMBERS", keys_of(p).rejected_rings) for p in PARTITIONS])
        places = zip(PARTITIONS, answers, strict=True)
        return [_Place(p, name.decode()) for p, names in places for name in sorted(names)]

    def _read(self, place: _Place, found: Sequence[Any]) -> list[Rejection]:
        app = InstanceKey.parse(place.ring.rpartition(":")[0])
        rejections = []
        for _, fields in found:
            name = fields[b"id"].decode()
            plain = self._ring.open(PURPOSE, place.partition, name, fields[b"sealed"])
            refusal = msgspec.msgpack.decode(plain, type=Refusal)
            rejections.append(Rejection(id=name, app=app, refusal=refusal))
        return rejections
