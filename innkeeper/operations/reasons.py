"""The facts of an instance, and its status in words: for `explain`.

Pure. Says why a status holds, in the order in which the domain derives it.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from innkeeper.config import Config
from innkeeper.lifecycle.instance import Instance, Secret, Slot, Source, Status
from innkeeper.lifecycle.order import OrderKey
from innkeeper.operations.documents import rfc3339


def why_status(instance: Instance) -> str:
    """Why it has the status it has."""
    flags, present = instance.flags, instance.existence.present
    match instance.status:
        case Status.REMOVED:
            return "the marketplace said that it is gone"
        case Status.DISABLED:
            if flags.disabled is True:
                return "it was stated to be disabled"
            return "the customer has withdrawn the yes once given"
        case Status.SUSPENDED:
            comment = instance.stated.get("suspension_comment")
            return f"it is suspended: {comment}" if comment else "it is suspended"
        case Status.PENDING:
            if present is None:
                return "nothing but secrets is known of it: no statement that it is installed"
            return "the customer's yes was never given"
        case Status.ENABLING | Status.DISABLING:
            return f"the marketplace says that it is {instance.status}"
        case Status.ENABLED:
            yes = "" if flags.enabled_by_customer is None else ", and the customer has said yes"
            return f"it is installed, neither disabled nor suspended{yes}"


def why_unconfirmed(config: Config, instance: Instance) -> str | None:
    """What is in doubt; None where nothing is."""
    if instance.confirmed:
        return None
    app = config.app(instance.platform, instance.app)
    doubt = "what holds rests on a statement that nothing proves to be the latest"
    if app is None or app.api is None:
        return f"{doubt}; no API is configured with which it could be read back"
    return f"{doubt}; it is to be read back"


def facts_of(instance: Instance) -> list[dict[str, Any]]:
    """The facts in force, each with its order key and the delivery that set it."""
    existence, flags = instance.existence, instance.flags
    said = {
        "disabled": flags.disabled,
        "suspended": flags.suspended,
        "enabled_by_customer": flags.enabled_by_customer,
        "phase": flags.phase,
    }
    known = {name: value for name, value in said.items() if value not in (None, UNSET)}
    facts = []
    if existence.present is not None:
        value = {"present": existence.present, "marketplace_id": existence.object_id}
        facts.append(_fact("existence", value, existence.order, existence.source))
    if existence.floor is not None:
        facts.append(_fact("removed up to", str(existence.floor), existence.floor, None))
    if known:
        facts.append(_fact("flags", known, instance.flags_order, instance.flags_source))
    if instance.consent is not None:
        facts.append(_fact("customer's yes seen", True, instance.consent.order, None))
    if instance.policy is not None and instance.in_force(instance.policy.current):
        held = instance.policy.current
        facts.append(_fact("signing policy", held.policy.fingerprint, held.order, held.source))
    return facts


def secrets_of(instance: Instance) -> list[dict[str, Any]]:
    """The secrets by name and date, never by value."""
    return [_secret(instance, name, slot) for name, slot in sorted(instance.secrets.items())]


def _secret(instance: Instance, name: str, slot: Slot[Secret]) -> dict[str, Any]:
    previous = slot.previous
    return {
        "name": name,
        "since": rfc3339(slot.current.source.at),
        "order": str(slot.current.order) if slot.current.order else None,
        "delivery": slot.current.source.delivery,
        "in_force": instance.in_force(slot.current),
        "previous_since": rfc3339(previous.source.at) if previous else None,
    }


def _fact(name: str, value: Any, order: OrderKey | None, source: Source | None) -> dict[str, Any]:
    return {
        "fact": name,
        "value": value,
        "order": str(order) if order else None,
        "delivery": source.delivery if source else None,
        "at": rfc3339(source.at) if source else None,
    }
