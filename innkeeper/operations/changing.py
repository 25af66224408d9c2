"""Changes an instance on its marketplace and has the register take in what it is then.

Asked by operators and the vendor's own programs. Writes no instance: what the marketplace answers
enters through the log, like any read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from innkeeper.config import App
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.lifecycle.machine import Outcome
from innkeeper.operations.desk import Desk
from innkeeper.operations.operator_entries import append_by_operator
from innkeeper.operations.reading import append_read, open_client, read_back
from innkeeper.platforms.api_errors import ApiError, Down, Inconsistent, Unsupported
from innkeeper.store.entry import EntrySource
from innkeeper.store.register import Line

WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.02


class OutcomeUnknown(Exception):
    """Whether the marketplace has made the change is unknown; a confirm is wanted already."""


class NotYetApplied(Exception):
    """The marketplace has made the change; the register has not taken it in yet. `line`: as is."""

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__("made on the marketplace, and not yet in the register")


def change_instance(desk: Desk, line: Line, fields: Mapping[str, Any]) -> Line:
    """Change an instance on the marketplace; its line, once that has been applied.

    Raises Invalid with all faults, Unsupported where there is no such lever, Missing, Refused,
    RateLimited, OutcomeUnknown, NotYetApplied, StoreError, StoreUnavailable.
    """
    instance = line.instance
    key = instance.key
    app = desk.config.app(key.platform, key.app)
    if app is None:
        raise Unsupported(f"{key.platform}/{key.app} is not configured any more")
    client = open_client(desk, app)
    try:
        found = client.change(key.account, instance.existence.object_id, fields)
    except (Down, Inconsistent) as error:
        # After the attempt, not before it: a read in between would settle the wish too early.
        wish(desk, key)
        raise OutcomeUnknown(error.message) from error
    delivery = append_read(desk, key, found.event, instance, EntrySource.READ)
    return _applied(desk, app, line, delivery)


def wish(desk: Desk, key: InstanceKey) -> DeliveryId:
    """Have an instance read back: what is known of it may be wrong."""
    app = desk.config.app(key.platform, key.app)
    confirmable = app is not None and app.api is not None
    event = Event(type="confirm.wished", kind=EventKind.WISHED, confirmable=confirmable)
    return append_by_operator(desk, key, event)


def _applied(desk: Desk, app: App, before: Line, delivery: DeliveryId | None) -> Line:
    """Wait until a read is folded; one that was overtaken is made again at once."""
    key, until = before.instance.key, time.monotonic() + WAIT_SECONDS
    while delivery is not None and time.monotonic() < until:
        outcome = desk.log.outcome(delivery).partition(" ")[0]
        if not outcome:
            time.sleep(_LOOK_SECONDS)
        elif outcome != Outcome.OVERTAKEN:
            return desk.register.line(key) or before
        else:
            delivery = _read_again(desk, app, key)
    raise NotYetApplied(desk.register.line(key) or before)


def _read_again(desk: Desk, app: App, key: InstanceKey) -> DeliveryId | None:
    """Read what the change has led to; None where that is left to the confirm that is wanted."""
    try:
        return read_back(desk, app, key)
    except ApiError:
        return None
