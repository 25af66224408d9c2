"""Drops old entries of the log, folding them into the bases of their instances.

Used by retention. An entry that cannot be folded any more holds up nothing: its instance cannot be
checked against the log until its newer entries have gone as well.
"""

from __future__ import annotations

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.operations.refolding import refold, was_folded
from innkeeper.store.bases import Base
from innkeeper.store.entry import Entry
from innkeeper.store.errors import StoreError, StoreUnavailable


def trim(desk: Desk, partition: int, *, before_millis: int, most_bytes: int) -> int:
    """Drop a slice of a partition's oldest entries; how many went. Call again while it gives any.

    Raises StoreError, StoreUnavailable.
    """
    oldest = desk.bases.oldest(partition, before_millis=before_millis, most_bytes=most_bytes)
    if not oldest.entries:
        return 0
    left: dict[InstanceKey, Base] = {}
    for entry in oldest.entries:
        if was_folded(entry):
            key = entry.instance
            left[key] = _taken(desk, left.get(key) or oldest.bases.get(key) or Base(), entry)
    return desk.bases.drop(partition, oldest, left)


def _taken(desk: Desk, base: Base, entry: Entry) -> Base:
    if base.unchecked:
        return base
    try:
        event = entry.event(desk.ring)
        folded = refold(base.instance, entry, event, desk.digests.of(entry.instance))
    except (StoreError, StoreUnavailable):
        raise
    except Exception as error:
        reason = f"{entry.delivery} was dropped unread: {type(error).__name__}: {error}"
        return Base(unchecked=reason[:300])
    return Base(instance=folded.instance)
