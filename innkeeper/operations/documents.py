"""How an instance, a transition and the rest look to whoever asks: the API's documents.

Used by the console, and for the bodies of posted follow-ups. No secret is ever in one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from innkeeper.lifecycle.events import Flag
from innkeeper.lifecycle.transitions import Transition
from innkeeper.store.register import Line

INSTANCE_FIELDS = (
    "id",
    "platform",
    "app_offering",
    "customer_account",
    "status",
    "enabled_by_customer",
    "disabled",
    "suspended",
    "suspension_comment",
    "confirmed",
    "version",
    "created_at",
    "updated_at",
    "marketplace_id",
    "nodeID",
    "custom_fields",
    "facts",
)
DEFAULT_FIELDS = tuple(f for f in INSTANCE_FIELDS if f not in ("custom_fields", "facts"))


def instance_document(line: Line, fields: tuple[str, ...] = DEFAULT_FIELDS) -> dict[str, Any]:
    """An instance with these fields, in the order of `INSTANCE_FIELDS`."""
    instance = line.instance
    document = {
        "id": str(instance.key),
        "platform": instance.platform,
        "app_offering": {"reference": instance.offering},
        "customer_account": {"id": instance.account, "name": instance.customer_name},
        "status": instance.status,
        "enabled_by_customer": _flag(instance.flags.enabled_by_customer),
        "disabled": _flag(instance.flags.disabled),
        "suspended": _flag(instance.flags.suspended),
        "suspension_comment": instance.stated.get("suspension_comment"),
        "confirmed": instance.confirmed,
        "version": instance.version,
        "created_at": rfc3339(line.created_at),
        "updated_at": rfc3339(line.updated_at),
        "marketplace_id": instance.existence.object_id,
        "nodeID": instance.node_id,
        "custom_fields": instance.stated.get("custom_fields"),
        "facts": instance.stated,
    }
    return {name: document[name] for name in INSTANCE_FIELDS if name in fields}


def transition_document(transition: Transition) -> dict[str, Any]:
    """A transition, or a notice, as follow-ups get it."""
    return {
        "id": transition.id,
        "name": transition.name,
        "from_status": transition.from_status,
        "to_status": transition.to_status,
        "at": rfc3339(transition.at),
        "cause": transition.cause,
        "delivery": transition.delivery,
    }


def rfc3339(moment: datetime) -> str:
    """A time as RFC 3339 in UTC, with a `Z`, to the microsecond."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_utc(seconds: float) -> datetime:
    """A time that the log gives in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def _flag(flag: Flag) -> bool | None:
    return None if flag is UNSET or flag is None else bool(flag)
