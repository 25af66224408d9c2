"""Short words for events and arrivals, so that the tests of the machine read as stories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from innkeeper.lifecycle.events import (
    DeliveryId,
    Event,
    EventKind,
    Flags,
    InstanceKey,
    SigningPolicy,
)
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.machine import Arrival, Folded, fold
from innkeeper.lifecycle.order import OrderKey, OrderKind

KEY = InstanceKey("market", "tides", "lighthouse")
START = datetime(2026, 1, 1, tzinfo=UTC)

OPERATES = Flags(disabled=False, suspended=False, enabled_by_customer=True, phase=None)
SUSPENDED = Flags(disabled=False, suspended=True, enabled_by_customer=True, phase=None)
DISABLED = Flags(disabled=True, suspended=False, enabled_by_customer=True, phase=None)
NO_YES = Flags(disabled=False, suspended=False, enabled_by_customer=False, phase=None)


def order(said: int | str | None) -> OrderKey | None:
    """`7` is the audit line 7; `issued:7` says its kind."""
    if said is None:
        return None
    kind, _, value = str(said).rpartition(":")
    return OrderKey(OrderKind(kind or "audit"), int(value))


def states(
    at: int | str | None, flags: Flags = OPERATES, object_id: str | None = "A", **more: Any
) -> Event:
    """The instance is there, with these flags."""
    kind = EventKind.STATED
    return Event(
        type="stated", kind=kind, order=order(at), flags=flags, object_id=object_id, **more
    )


def removes(at: int | str | None, object_id: str | None = "A", **more: Any) -> Event:
    """The instance is gone."""
    kind = EventKind.REMOVED
    return Event(type="removed", kind=kind, order=order(at), object_id=object_id, **more)


def brings(
    at: int | str | None,
    secrets: dict[str, Any] | None = None,
    policy: SigningPolicy | None = None,
    object_id: str | None = "A",
) -> Event:
    """Secrets, a signing policy or both."""
    return Event(
        type="secrets",
        kind=EventKind.SECRETS,
        order=order(at),
        secrets=secrets or {},
        policy=policy,
        object_id=object_id,
    )


def revokes(fingerprint: str) -> Event:
    """An operator takes a key out of force."""
    return Event(type="revoked", kind=EventKind.REVOKED, fingerprint=fingerprint)


def signing(name: str) -> SigningPolicy:
    """A policy that only its fingerprint tells from others."""
    return SigningPolicy(algorithm="RS256", public_key=f"-{name}-", fingerprint=name)


def digest(name: str, value: Any) -> str:
    """Equal for equal values of a name; without a key ring, since the domain knows none."""
    return hashlib.sha256(json.dumps([name, value], sort_keys=True).encode()).hexdigest()[:12]


def arrival(number: int) -> Arrival:
    """The `number`th arrival, a second after the one before it."""
    return Arrival(
        delivery=DeliveryId(f"00-{number}"),
        at=START + timedelta(seconds=number),
        signer="key",
        entry=f"{number}-0",
    )


def arrive(instance: Instance | None, event: Event, number: int = 1000) -> Folded:
    """Fold one event."""
    return fold(instance, KEY, event, arrival(number), digest)


def tell(events: Iterable[Event], start: Instance | None = None) -> list[Folded]:
    """Fold events in their order of arrival; what each did."""
    steps: list[Folded] = []
    for number, event in enumerate(events, start=1):
        steps.append(arrive(start, event, number))
        start = steps[-1].instance
    return steps


def after(*events: Event) -> Instance:
    """The instance after these events, which must have made one."""
    instance = tell(events)[-1].instance
    assert instance is not None
    return instance


def names(steps: Folded | Iterable[Folded]) -> list[str]:
    """What happened, by name."""
    told = [steps] if isinstance(steps, Folded) else steps
    return [str(happening.name) for step in told for happening in step.happenings]
