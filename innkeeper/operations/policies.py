"""Customers' signing policies: which were learned, and taking one out of force.

Asked by operators. A revocation is appended to the log like any fact, and applied there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from innkeeper.config import XurrentApp
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.lifecycle.instance import HeldPolicy, Instance
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import rfc3339
from innkeeper.operations.operator_entries import append_by_operator

_GRACE_SECONDS = 86400.0


class LearnedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy in force. `until`: when the grace period of a previous one ends."""

    instance: str
    fingerprint: str
    state: str
    algorithm: str
    audience: str | None
    issuer: str | None
    since: datetime
    delivery: DeliveryId
    until: datetime | None = None


class NotInForce(Exception):
    """There is no such policy to take out of force."""


def list_policies(desk: Desk) -> list[LearnedPolicy]:
    """All that were learned and are in force now. Raises StoreError, StoreUnavailable."""
    lines = desk.register.lines(desk.register.with_policy())
    return [policy for line in lines if line for policy in policies_of(desk, line.instance)]


def policies_of(desk: Desk, instance: Instance) -> list[LearnedPolicy]:
    """Those of one instance: the current one, and the previous one within its grace period."""
    slot = instance.policy
    if slot is None or not instance.in_force(slot.current):
        return []
    found = [_learned(instance, slot.current, "current", None)]
    if slot.previous is not None and slot.replaced_at is not None:
        app = desk.config.app(instance.platform, instance.app)
        grace = app.previous_key_grace if isinstance(app, XurrentApp) else _GRACE_SECONDS
        until = slot.replaced_at + timedelta(seconds=grace)
        if until > datetime.now(UTC):
            found.append(_learned(instance, slot.previous, "previous", until))
    return found


def policy_document(policy: LearnedPolicy) -> dict[str, Any]:
    """A policy as lists tell it."""
    times = {
        "since": rfc3339(policy.since),
        "until": rfc3339(policy.until) if policy.until else None,
    }
    return msgspec.structs.asdict(policy) | times


def revoke(desk: Desk, key: InstanceKey, fingerprint: str | None = None) -> str:
    """Have a policy taken out of force: that one, else the previous one; its fingerprint.

    In force until apply has taken it in, within moments. Raises NotInForce, StoreError,
    StoreUnavailable.
    """
    line = desk.register.line(key)
    if line is None:
        raise NotInForce(f"there is no instance {key}")
    found = policies_of(desk, line.instance)
    if fingerprint is None:
        chosen = [policy for policy in found if policy.state == "previous"]
    else:
        chosen = [policy for policy in found if policy.fingerprint == fingerprint]
    if not chosen:
        which = "previous signing policy" if fingerprint is None else f"policy {fingerprint:.80}"
        raise NotInForce(f"{key} has no {which} in force")
    revoked = chosen[0].fingerprint
    event = Event(type="policy.revoked", kind=EventKind.REVOKED, fingerprint=revoked)
    append_by_operator(desk, key, event)
    return revoked


def _learned(
    instance: Instance, held: HeldPolicy, state: str, until: datetime | None
) -> LearnedPolicy:
    policy = held.policy
    return LearnedPolicy(
        instance=str(instance.key),
        fingerprint=policy.fingerprint,
        state=state,
        algorithm=policy.algorithm,
        audience=policy.audience,
        issuer=policy.issuer,
        since=held.source.at,
        delivery=held.source.delivery,
        until=until,
    )
