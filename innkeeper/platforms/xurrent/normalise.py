"""From the signed `data` of a Xurrent webhook to an event, in either vocabulary.

Pure. Raises NotUnderstood for content that is not of the documented form.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, UnsetType

from innkeeper.lifecycle.events import Event, EventKind, Flags, SigningPolicy
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.platforms import jws
from innkeeper.platforms.admission import NotUnderstood
from innkeeper.platforms.xurrent import issuer

ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
HANDSHAKE = "webhook.verify"
APP_EVENT = "automation_rule"
LIFECYCLE = {
    "app_instance.create": EventKind.STATED,
    "app_instance.update": EventKind.STATED,
    "app_instance.delete": EventKind.REMOVED,
    "app_instance.secrets-update": EventKind.SECRETS,
}
TEST_OBJECT_ID = "12345"
"""The object of the deliveries that the marketplace's test endpoint sends."""

SECRET_BLOCKS = ("application", "authorization_application", "secrets")
_NOT_STATED = frozenset(
    {*SECRET_BLOCKS, "policy", "audit_line_id", "audit_line_nodeID", "customer_account_id"}
)


def present_name(event_type: str) -> str:
    """The event's type in the vocabulary of 2021 and later."""
    return event_type.replace("integration_instance.", "app_instance.", 1)


def object_id_of(data: dict[str, Any]) -> str | None:
    """The marketplace's id of what the delivery is about."""
    stated = data.get("object_id")
    return str(stated) if type(stated) in (int, str) else None


def lifecycle_event(data: dict[str, Any], payload: dict[str, Any], claims: dict[str, Any]) -> Event:
    """An event of an instance's life."""
    event_type = present_name(data["event"])
    kind = LIFECYCLE[event_type]
    notes: list[str] = []
    states = kind is EventKind.STATED
    return Event(
        type=event_type,
        kind=kind,
        order=order_of(payload, claims),
        object_id=object_id_of(data),
        node_id=_text(data.get("object_nodeID")),
        offering=offering_of(payload),
        customer_name=_customer_name(payload),
        flags=_flags(payload) if states else None,
        stated={k: v for k, v in payload.items() if k not in _NOT_STATED} if states else {},
        secrets=secrets_of(payload),
        policy=_policy(payload.get("policy"), notes),
        notes=tuple(notes),
    )


def order_of(payload: dict[str, Any], claims: dict[str, Any]) -> OrderKey | None:
    """The audit line's number, else the time of issue."""
    audit = payload.get("audit_line_id")
    if type(audit) is int and 0 <= audit < 1 << 63:
        return OrderKey(OrderKind.AUDIT, audit)
    issued = jws.moment(claims, "iat")
    return None if issued is None else OrderKey(OrderKind.ISSUED, int(issued))


def offering_of(payload: dict[str, Any]) -> str | None:
    """The reference of the offering; None where the payload names none."""
    offering = payload.get("app_offering", payload.get("integration"))
    if offering is None:
        return None
    if not isinstance(offering, dict) or not isinstance(offering.get("reference"), str):
        raise NotUnderstood("app_offering has no reference")
    return str(offering["reference"])


def customer_of(payload: dict[str, Any]) -> str:
    """The customer's account."""
    account = payload.get("customer_account_id")
    if not isinstance(account, str) or not ACCOUNT.match(account) or account == "-":
        raise NotUnderstood("customer_account_id is no account")
    return account


def _flags(payload: dict[str, Any]) -> Flags:
    return Flags(
        disabled=_flag(payload, "disabled"),
        suspended=_flag(payload, "suspended"),
        enabled_by_customer=_flag(payload, "enabled_by_customer"),
        phase=None,
    )


def _flag(payload: dict[str, Any], name: str) -> bool | UnsetType:
    value = payload.get(name)
    if value is None:
        return UNSET
    if not isinstance(value, bool):
        raise NotUnderstood(f"{name} is neither true nor false")
    return value


def secrets_of(payload: dict[str, Any]) -> dict[str, Any]:
    """The secrets by path: any subset of the blocks may be there, and of each block's fields."""
    found: dict[str, Any] = {}
    for block in SECRET_BLOCKS:
        stated = payload.get(block)
        if isinstance(stated, dict):
            found |= {f"{block}.{name}": value for name, value in stated.items()}
        elif stated is not None:
            found[block] = stated
    return found


def _policy(stated: Any, notes: list[str]) -> SigningPolicy | None:
    """The key with which the customer signs; None, and a note, where it is not good enough."""
    if stated is None:
        return None
    try:
        return policy_of(stated)
    except ValueError as error:
        notes.append(f"signing policy not learned: {error}")
        return None


def policy_of(stated: Any) -> SigningPolicy:
    """The policy that a block states. Raises ValueError where it is not good enough."""
    if not isinstance(stated, dict):
        raise ValueError("it is no object")
    algorithm, key = stated.get("algorithm"), stated.get("public_key")
    if not isinstance(algorithm, str) or not isinstance(key, str):
        raise ValueError("it has no algorithm or no public_key")
    audience, said_issuer = stated.get("audience"), stated.get("issuer")
    if audience is not None and not isinstance(audience, str):
        raise ValueError("its audience is no text")
    if said_issuer is not None and not (
        isinstance(said_issuer, str) and issuer.is_sound(said_issuer)
    ):
        raise ValueError("its issuer is no https URL")
    return jws.signing_policy(algorithm, key, audience=audience, issuer=said_issuer)


def _customer_name(payload: dict[str, Any]) -> str | None:
    representative = payload.get("customer_representative")
    account = representative.get("account") if isinstance(representative, dict) else None
    if not isinstance(account, dict) or account.get("id") != payload.get("customer_account_id"):
        return None
    return _text(account.get("name"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
