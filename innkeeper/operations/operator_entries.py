"""What operators bring about stands in the log like any fact: this appends it.

Used by the operations that write. Apply takes it from there.
"""

from __future__ import annotations

import time

from innkeeper.bells import BellName
from innkeeper.lifecycle.events import DeliveryId, Event, InstanceKey, Mark
from innkeeper.operations.desk import Desk
from innkeeper.store.entry import Captured, EntrySource, NewEntry, new_delivery_id


def append_by_operator(
    desk: Desk, key: InstanceKey, event: Event, *, mark: Mark | None = None
) -> DeliveryId:
    """Append an event about an instance, and have it applied. Raises StoreError, StoreUnavailable.

    `mark`: why it is kept and never applied.
    """
    now = time.time()
    appended = desk.log.append(
        NewEntry(
            delivery=new_delivery_id(key, now=now),
            instance=key,
            at=now,
            source=EntrySource.OPERATOR,
            event=event,
            mark=mark,
            signer="operator",
            captured=Captured(app=key.app),
        )
    )
    desk.bells[BellName.APPLY].ring()
    return appended.delivery
