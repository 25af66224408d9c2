"""Forgets an instance: its line, history, secrets and work by an entry of the log, then the log.

Asked by operators. Apply alone deletes what it has written; only what nobody folds any more is
purged from here. Broken off anywhere, it is taken up by asking again.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.operations.deliveries import kept_of
from innkeeper.operations.desk import Desk
from innkeeper.operations.operator_entries import append_by_operator
from innkeeper.operations.refolding import DEAD
from innkeeper.operations.replay import CannotReplay, reread
from innkeeper.store.erasing import Erasing, Tombstone, tombstones
from innkeeper.store.rejected import Rejection

WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_WHOLE_LOG = 1 << 62


class NotYetForgotten(Exception):
    """Apply has not come to it in time. Nothing is purged yet."""


class CannotForget(Exception):
    """Apply could not delete the instance, and has given it up. Nothing is purged."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to forget. `status`: None where there are entries and no line."""

    status: Status | None


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What went: entries of the log, and refused deliveries about the instance.

    `works`: work that was left when its line had gone.
    """

    instance: str
    entries: int
    works: int
    refused: int


def known(desk: Desk, key: InstanceKey) -> Known | None:
    """What there is to forget of an instance; None where nothing is. Raises StoreError."""
    line = desk.register.line(key)
    if line is not None:
        return Known(status=line.instance.status)
    kept = next(kept_of(desk, key, look_back=_WHOLE_LOG), None)
    return Known(status=None) if kept else None


def tombstone(desk: Desk, key: InstanceKey) -> Tombstone | None:
    """When an instance was forgotten; None where it never was. Raises MissingKey, StoreError."""
    return tombstones(desk.store, desk.digests, [key]).get(key)


def forget(desk: Desk, key: InstanceKey) -> Forgotten:
    """Forget an instance for good.

    Raises NotYetForgotten, CannotForget, MissingKey, Damaged, StoreError, StoreUnavailable.
    """
    erasing = Erasing(desk.store, desk.log, desk.digests, key)
    event = Event(type="instance.forgotten", kind=EventKind.FORGOTTEN)
    delivery = append_by_operator(desk, key, event)
    last = _applied(desk, delivery)
    works = erasing.works(last)
    refused = _drop_refused(desk, key)
    _drop_from_drift(desk, key)
    # Last: as long as its entries are kept, asking again finds the instance.
    entries = erasing.entries(last, at=datetime.now(UTC))
    return Forgotten(instance=str(key), entries=entries, works=works, refused=refused)


def _applied(desk: Desk, delivery: DeliveryId) -> str:
    """Wait until apply has deleted the instance; the stream id of the entry that said so."""
    until = time.monotonic() + WAIT_SECONDS
    while not (outcome := desk.log.outcome(delivery)):
        if time.monotonic() > until:
            raise NotYetForgotten
        time.sleep(_LOOK_SECONDS)
    if outcome == DEAD:
        raise CannotForget(f"`innkeeper dead-letters show {delivery}` says why")
    entry = desk.log.find(delivery)
    if entry is None:
        raise NotYetForgotten
    return entry.stream_id


def _drop_refused(desk: Desk, key: InstanceKey) -> int:
    """Drop the refused deliveries that say to be about the instance; how many."""
    pseudo = InstanceKey.pseudo(key.platform, key.app)
    # However old they are: what is no longer shown may still be kept.
    found = [one for one in desk.rejected.all(now=0.0) if one.app == pseudo]
    gone = [one for one in found if _is_about(desk, one, key)]
    for rejection in gone:
        desk.rejected.drop(rejection)
    return len(gone)


def _is_about(desk: Desk, rejection: Rejection, key: InstanceKey) -> bool:
    try:
        said = reread(desk, key.platform, rejection.refusal.captured, rejection.refusal.at)
    except CannotReplay:
        return False
    return said.instance == key


def _drop_from_drift(desk: Desk, key: InstanceKey) -> None:
    """What the last pass told of the instance by name."""
    pseudo = InstanceKey.pseudo(key.platform, key.app)
    state = desk.passes.states([pseudo])[0]
    if state.drift is None or str(key) not in state.drift.secrets_missing:
        return
    left = {n: since for n, since in state.drift.secrets_missing.items() if n != str(key)}
    drift = msgspec.structs.replace(state.drift, secrets_missing=left)
    desk.passes.set(pseudo, msgspec.structs.replace(state, drift=drift))
