"""From an app instance of Xurrent's API to what was found, in either vocabulary.

Pure; facts in `docs/platforms/xurrent.md`. Raises ValueError for what is of another form.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from innkeeper.config import XurrentApp
from innkeeper.lifecycle.events import Event, EventKind, Flags, SigningPolicy
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.platforms.calls import Found
from innkeeper.platforms.fields import number_in
from innkeeper.platforms.xurrent.normalise import ACCOUNT, SECRET_BLOCKS, policy_of, secrets_of

_STATED = ("suspension_comment", "custom_fields")
"""What deliveries do not state. What they do state would look changed each time that a read, which
has it in another form, follows a delivery; and what else the API shows may hold a secret."""


def found(document: Any, app: XurrentApp) -> Found | None:
    """The instance; None where it is one of another offering of the provider's."""
    if not isinstance(document, dict):
        raise ValueError("an app instance is no object")
    if "integration" in document and "app_offering" not in document:
        document = {**document, "app_offering": document["integration"]}
    if _reference(document) != app.reference:
        return None
    customer = document.get("customer_account")
    if not isinstance(customer, dict):
        raise ValueError("customer_account is no object")
    account, name = customer.get("id"), customer.get("name")
    if not isinstance(account, str) or not ACCOUNT.match(account):
        raise ValueError("customer_account has no account's id")
    node_id = document.get("nodeID")
    event = Event(
        type="read",
        kind=EventKind.STATED,
        object_id=object_id(document),
        node_id=node_id if isinstance(node_id, str) else None,
        offering=app.reference,
        customer_name=name if isinstance(name, str) else None,
        flags=Flags(
            disabled=_flag(document, "disabled"),
            suspended=_flag(document, "suspended"),
            enabled_by_customer=_flag(document, "enabled_by_customer"),
            phase=None,
        ),
        stated={name: document[name] for name in _STATED if name in document},
    )
    return Found(account=account, event=event)


def object_id(document: dict[str, Any]) -> str:
    """The id of a thing of the marketplace's, sent as a number or as its text."""
    number = number_in(document.get("id"))
    if number is None:
        raise ValueError("the id is no whole number")
    return str(number)


def _reference(document: dict[str, Any]) -> str:
    offering = document.get("app_offering")
    reference = offering.get("reference") if isinstance(offering, dict) else None
    if not isinstance(reference, str):
        raise ValueError("app_offering has no reference")
    return reference


def _flag(document: dict[str, Any], name: str) -> bool | UnsetType:
    value = document.get(name)
    if value is None:
        return UNSET
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")
    return value


ABSENT = Event(type="read", kind=EventKind.REMOVED)
"""What it means that the API shows no such instance."""

SENDS_SECRETS = True
"""Whether a customer who is there has given secrets, so that one without any lacks them."""

FLAGS = ("disabled", "suspended", "enabled_by_customer")
"""The flags that an instance has here."""

BEFORE_ALL = OrderKey(OrderKind.AUDIT, 0)
"""The order of what was known before any delivery: no audit line has this number."""


def imported(blocks: dict[str, Any]) -> tuple[dict[str, Any], SigningPolicy | None]:
    """Secrets and signing policy from the blocks of a secrets-update. Raises ValueError."""
    for name in SECRET_BLOCKS:
        if name in blocks and not isinstance(blocks[name], dict):
            raise ValueError(f"{name}: is no object")
    try:
        policy = policy_of(blocks["policy"]) if "policy" in blocks else None
    except ValueError as error:
        raise ValueError(f"policy: {error}") from None
    return secrets_of(blocks), policy
