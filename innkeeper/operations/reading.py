"""Reads an instance back from its marketplace and puts what was found into the log.

Used by confirm, reconcile and whoever changed something there. What a read finds enters by the same
door as a delivery; it counts only if nothing has changed the instance since before the request.
"""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from innkeeper.bells import BellName
from innkeeper.config import App
from innkeeper.lifecycle.events import DeliveryId, Event, InstanceKey, Read
from innkeeper.lifecycle.instance import Instance
from innkeeper.operations.desk import Desk
from innkeeper.platforms import client_of
from innkeeper.platforms.api_errors import Unsupported
from innkeeper.store.entry import Captured, EntrySource, NewEntry, new_delivery_id

SIGNER = "api"
"""Who proves a fact that was read: the marketplace's own API."""


def open_client(desk: Desk, app: App) -> Any:
    """A client of the app's marketplace. Raises Unsupported where no API is configured."""
    if app.api is None:
        raise Unsupported(f"{app.platform}/{app.name} has no [apps.api] configured")
    return client_of(app.platform).open_client(app, desk.outgoing, desk.tokens, now=time.time)


def read_back(
    desk: Desk,
    app: App,
    key: InstanceKey,
    *,
    object_id: str | None = None,
    adopts: bool = False,
    by_list: bool = True,
) -> DeliveryId | None:
    """Read an instance and append what was found; None if neither side knows of it.

    `object_id`: as which it is looked for, else as the one that is known. `adopts`: it was there
    before us. `by_list`: where that object is gone, the marketplace's list is looked through.
    Raises ApiError, StoreError, StoreUnavailable.
    """
    line = desk.register.line(key)
    instance = line.instance if line else None
    object_id = object_id or (instance.existence.object_id if instance else None)
    client = open_client(desk, app)
    found = client.instance(key.account, object_id)
    if found is None and object_id is not None and by_list:
        # That object is gone; the customer may have installed the app anew, as another one.
        found = client.instance(key.account)
    if found is None and instance is None:
        return None
    event: Event = found.event if found else client_of(app.platform).reading.ABSENT
    event = replace(event, adopts=adopts)
    return append_read(desk, key, event, instance, EntrySource.READ)


def append_read(
    desk: Desk, key: InstanceKey, event: Event, instance: Instance | None, source: EntrySource
) -> DeliveryId:
    """Append what was found. `instance`: as it was known before the request."""
    read = Read(
        at_version=instance.version if instance else 0,
        settles=instance.confirm_wanted if instance else 0,
    )
    return append_found(desk, key, replace(event, read=read), source)


def append_found(desk: Desk, key: InstanceKey, event: Event, source: EntrySource) -> DeliveryId:
    """Append what was found and is ordered by a key of its own."""
    now = time.time()
    entry = NewEntry(
        delivery=new_delivery_id(key, now=now),
        instance=key,
        at=now,
        source=source,
        event=event,
        signer=SIGNER,
        captured=Captured(app=key.app),
    )
    appended = desk.log.append(entry)
    desk.bells[BellName.APPLY].ring()
    return appended.delivery
