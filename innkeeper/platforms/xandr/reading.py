"""From an app installation of Xandr's service to what was found, in each of its shapes.

Pure; facts in `docs/platforms/xandr.md`. Raises ValueError for what is of another form.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, UnsetType

from innkeeper.config import XandrApp
from innkeeper.lifecycle.events import Event, EventKind, Flags
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.platforms.calls import Found
from innkeeper.platforms.fields import number_in

ACCOUNT = re.compile(r"(member|bidder):\d{1,19}\Z", re.ASCII)
FLAGS = ("enabled_by_customer",)
"""The flags that an installation has here."""
_ENTITIES = ("member", "bidder")
_ACCEPTED = ("accepted_permissions", "accepted_permission")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_NUMBERS = ("plugin_id", "subscriber_entity_id", "installer_user_id", "log_level_data_fee")
_STATED = (
    *_NUMBERS,
    "subscriber_entity_type",
    "addendum",
    "permissions",
    "has_payment_access",
    "installed_on",
    "subscriber_email",
    "subscriber_name",
    "subscriber_phone",
)


def found(document: Any, app: XandrApp, pass_number: int | None = None) -> Found | None:
    """The installation; None where it is one of another plugin.

    `pass_number`: of the pass that read it; None where it was read alone.
    """
    if not isinstance(document, dict):
        raise ValueError("an installation is no object")
    document = _present(document)
    identity = object_id(document)
    if _number(document, "plugin_id") != number_in(app.reference):
        return None
    name = document.get("subscriber_name")
    accepted = _accepted(document)
    event = Event(
        type="read",
        kind=EventKind.STATED,
        order=None if pass_number is None else OrderKey(OrderKind.PASS, pass_number),
        object_id=identity,
        offering=app.reference,
        customer_name=name if isinstance(name, str) and name else None,
        flags=Flags(disabled=None, suspended=None, enabled_by_customer=accepted, phase=None),
        stated=_stated(document, accepted),
    )
    return Found(account=_account(document), event=event)


def object_id(document: dict[str, Any]) -> str:
    """The id of an installation, sent as a number or as its text."""
    return str(_number(document, "id"))


def _present(document: dict[str, Any]) -> dict[str, Any]:
    """The document in the present vocabulary; of the legacy shape every one is installed."""
    if "subscriber_entity_id" in document:
        return document
    if document.get("status") not in (None, "installed"):
        raise ValueError("an installation of an unknown status")
    return {
        **document,
        "subscriber_entity_type": document.get("entity_type"),
        "subscriber_entity_id": document.get("entity_id"),
    }


def _account(document: dict[str, Any]) -> str:
    entity = document.get("subscriber_entity_type")
    if entity not in _ENTITIES:
        raise ValueError("the subscriber is neither member nor bidder")
    return f"{entity}:{_number(document, 'subscriber_entity_id')}"


def _accepted(document: dict[str, Any]) -> bool | UnsetType:
    """The customer's yes, under either spelling. Raises ValueError where they contradict."""
    said = {_flag(document[name]) for name in _ACCEPTED if document.get(name) is not None}
    if len(said) > 1:
        raise ValueError("accepted_permissions and accepted_permission contradict each other")
    return said.pop() if said else UNSET


def _flag(value: Any) -> bool:
    known = _FLAGS.get(str(value).lower())
    if known is None:
        raise ValueError("accepted_permissions is neither true nor false")
    return known


def _number(document: dict[str, Any], name: str) -> int:
    number = number_in(document.get(name))
    if number is None:
        raise ValueError(f"{name} is no whole number")
    return number


def _stated(document: dict[str, Any], accepted: bool | UnsetType) -> dict[str, Any]:
    """What was said, in one spelling, so that another one is no change."""
    stated = {name: document[name] for name in _STATED if name in document}
    for name in _NUMBERS:
        number = number_in(stated.get(name))
        if number is not None:
            stated[name] = number
    if accepted is not UNSET:
        stated["accepted_permissions"] = accepted
    return stated


ABSENT = Event(type="read", kind=EventKind.REMOVED)
"""What it means that a sound pass no longer shows an installation."""


def order_of_pass(number: int) -> OrderKey:
    """The order of what a pass has not seen."""
    return OrderKey(OrderKind.PASS, number)
