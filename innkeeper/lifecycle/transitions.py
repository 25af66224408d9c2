"""Which transitions follow from a change of status: the table, and nothing else.

Used by the machine, and by `scripts/draw_states.py`, which draws the picture in the docs from it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.lifecycle.instance import Status


class Happening(StrEnum):
    """What can happen to an instance: the transitions, and at the end the notices.

    A notice changes no status. All but `handshake`, which is ours to answer, set off follow-ups.
    """

    INSTALLED = "installed"
    ENABLED = "enabled"
    RESUMED = "resumed"
    SUSPENDED = "suspended"
    DISABLED = "disabled"
    REMOVED = "removed"
    UPDATED = "updated"
    ADOPTED = "adopted"
    SECRETS_UPDATED = "secrets_updated"
    APP_EVENT = "app_event"
    HANDSHAKE = "handshake"


class Transition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of an instance, or a notice about it.

    `id` is derived from the delivery, so that a repeated fold makes the same one. `number`: counts
    an instance's transitions from 1; 0 for a notice. `cause`: the event's type. `order`: the
    event's order key. `signer`: the fingerprint of the key, or the kind of credential, that proved
    it. `follow_ups`: what it set off, name to idempotency key.
    """

    id: str
    name: Happening
    number: int = 0
    from_status: Status | None = None
    to_status: Status | None = None
    at: datetime
    cause: str
    delivery: DeliveryId
    order: str | None = None
    signer: str | None = None
    follow_ups: dict[str, str] = {}


_Steps = tuple[Happening, ...]

_UPDATED: _Steps = (Happening.UPDATED,)
_ENABLED: _Steps = (Happening.ENABLED,)
_RESUMED: _Steps = (Happening.RESUMED,)
_SUSPENDED: _Steps = (Happening.SUSPENDED,)
_DISABLED: _Steps = (Happening.DISABLED,)
_REMOVED: _Steps = (Happening.REMOVED,)
_INSTALLED: _Steps = (Happening.INSTALLED,)

_ARRIVAL: dict[Status, _Steps] = {
    Status.PENDING: _INSTALLED,
    Status.ENABLING: _INSTALLED,
    Status.ENABLED: _INSTALLED + _ENABLED,
    Status.DISABLING: _INSTALLED,
    Status.SUSPENDED: _INSTALLED + _SUSPENDED,
    Status.DISABLED: _INSTALLED + _DISABLED,
    Status.REMOVED: _REMOVED,
}
_STAY: dict[Status, _Steps] = {
    Status.PENDING: _UPDATED,
    Status.ENABLING: _UPDATED,
    Status.ENABLED: _ENABLED,
    Status.DISABLING: _UPDATED,
    Status.SUSPENDED: _SUSPENDED,
    Status.DISABLED: _DISABLED,
    Status.REMOVED: _REMOVED,
}

TABLE: dict[Status | None, dict[Status, _Steps]] = {
    None: _ARRIVAL,
    Status.REMOVED: _ARRIVAL | {Status.REMOVED: ()},
    Status.PENDING: _STAY,
    Status.ENABLING: _STAY,
    Status.ENABLED: _STAY | {Status.ENABLED: _UPDATED},
    Status.DISABLING: _STAY,
    Status.SUSPENDED: _STAY | {Status.SUSPENDED: _UPDATED, Status.ENABLED: _RESUMED},
    Status.DISABLED: _STAY | {Status.DISABLED: _UPDATED},
}
"""From (None: nothing known, or nothing but secrets) and to; for changed facts only."""
