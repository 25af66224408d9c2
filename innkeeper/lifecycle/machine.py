"""The state machine: one function, `fold`, that takes an event into an instance.

 1. Order is kept per fact: existence, the flags together, the signing policy, each secret by name.
    An event changes only the facts that it carries, and only where its key is newer.
 2. A removal's key is a floor under all facts: what was stated at or below it belongs to an
    installation that is gone. A removed instance stays, with its keys.
 3. Under equal keys the first statement stands; one that disagrees with it leaves a doubt.
 4. `issued` keys, and keys of different kinds, prove no order. Such a statement that disagrees with
    what is known is a doubt: it is taken in its order of arrival and marked unconfirmed.
 5. A hint is a doubt, too, unless its key shows it to be old. It never brings into being what only
    its own word supports, where its maker says so.
 6. Another object id is another installation; the same object never comes back from removal,
    unless a newer key says so.
 7. A stale statement still tells what nobody has told since: a flag that is not known, a customer's
    yes, a removal's key.
 8. Secrets and signing policies merge and are kept whatever the order; the floor decides which are
    in force. A key that an operator revoked is not learned again.
 9. The status is derived from the facts, the transitions from the table of statuses.
10. What no marketplace can produce raises: an event about an instance that belongs to an app's
    pseudo-instance, an event of a kind that states nothing.

Pure: the same instance, event and arrival always give the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from innkeeper.lifecycle.errors import Impossible
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, Flags, InstanceKey
from innkeeper.lifecycle.instance import (
    Consent,
    Existence,
    HeldPolicy,
    Instance,
    Secret,
    Source,
    Status,
    hold,
    status_of,
)
from innkeeper.lifecycle.order import Order, OrderKey, below, better, compare
from innkeeper.lifecycle.transitions import TABLE, Happening, Transition

Digest = Callable[[str, Any, str | None], str]
"""Of a secret's name, its value and the digest held so far: a keyed digest, the held one where the
value is the same."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """How an event came in: under which delivery, when, proven by whom, as which entry."""

    delivery: DeliveryId
    at: datetime
    signer: str | None = None
    entry: str = ""


class Outcome(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    STALE = "stale"
    UNSUPPORTED = "unsupported"
    """A hint about an instance that nothing else speaks of."""


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """The instance after the event, and what happened to it."""

    instance: Instance | None
    outcome: Outcome
    happenings: tuple[Transition, ...] = ()


class _Verdict(StrEnum):
    """How a statement stands to a fact."""

    TAKEN = "taken"
    DOUBTED = "doubted"
    """Taken in its order of arrival, and to be confirmed."""
    AGREED = "agreed"
    """Says what is known; nothing tells its order."""
    UNCHANGED = "unchanged"
    CONTRADICTED = "contradicted"
    """Not taken, though nothing shows it to be old: to be confirmed."""
    STALE = "stale"


_NOTICES = {
    EventKind.APP_EVENT: Happening.APP_EVENT,
    EventKind.HANDSHAKE: Happening.HANDSHAKE,
}


class _Step(NamedTuple):
    instance: Instance
    verdict: _Verdict
    reinstalled: bool = False


def fold(
    instance: Instance | None, key: InstanceKey, event: Event, arrival: Arrival, digest: Digest
) -> Folded:
    """Take `event` into `instance` (None: not known). Raises Impossible, see rule 10."""
    if key.is_pseudo and event.kind is not EventKind.HANDSHAKE:
        raise Impossible(f"{event.type} belongs to no instance")
    if event.kind in _NOTICES:
        status = instance.status if instance else None
        notice = _notice(_NOTICES[event.kind], status, event, arrival)
        return Folded(instance=instance, outcome=Outcome.APPLIED, happenings=(notice,))
    if event.kind is EventKind.OTHER:
        raise Impossible(f"nothing handles {event.type}")
    if event.kind is EventKind.REVOKED:
        return _revoke(instance, event, arrival)
    known = instance or Instance(platform=key.platform, app=key.app, account=key.account)
    if not event.creates and known.existence.present is not True:
        return Folded(instance=instance, outcome=Outcome.UNSUPPORTED)
    return _fold_facts(known, event, arrival, digest)


def _fold_facts(known: Instance, event: Event, arrival: Arrival, digest: Digest) -> Folded:
    source = Source(delivery=arrival.delivery, at=arrival.at)
    removes = event.kind is EventKind.REMOVED
    after, existence, reinstalled = (_removal if removes else _presence)(known, event, source)
    after, flags, _ = _flags(after, event, source)
    after = _confirmation(after, event, (existence, flags))
    after, merged = _secrets(after, event, source, digest)
    after = replace(
        after,
        offering=after.offering or event.offering,
        node_id=after.node_id or event.node_id,
        status=status_of(after),
        entry=arrival.entry,
    )
    changed = _facts(after) != _facts(known) or after.status is not known.status
    steps: tuple[Transition, ...] = ()
    if changed:
        steps = _transitions(known, after, event, arrival, reinstalled=reinstalled)
    after = replace(
        after,
        version=known.version + (changed or merged),
        transitions=known.transitions + len(steps),
    )
    if merged:
        steps += (_notice(Happening.SECRETS_UPDATED, after.status, event, arrival),)
    outcome = Outcome.STALE if _Verdict.STALE in (existence, flags) else Outcome.UNCHANGED
    if changed or merged:
        outcome = Outcome.APPLIED
    return Folded(instance=after, outcome=outcome, happenings=steps)


def _standing(stated: OrderKey | None, known: OrderKey | None, *, agrees: bool) -> _Verdict:
    """Rules 1, 3 and 4: how a statement stands to a fact that is known."""
    order = compare(stated, known) if stated and stated.proves_change else Order.UNKNOWN
    if order is Order.NEWER:
        return _Verdict.TAKEN
    if order is Order.OLDER:
        return _Verdict.STALE
    if order is Order.SAME:
        return _Verdict.UNCHANGED if agrees else _Verdict.CONTRADICTED
    return _Verdict.AGREED if agrees else _Verdict.DOUBTED


def _presence(known: Instance, event: Event, source: Source) -> _Step:
    """What a statement that the instance is there does to its existence."""
    fact = known.existence
    if event.kind is not EventKind.STATED:
        return _Step(known, _Verdict.UNCHANGED)
    if below(event.order, fact.floor):
        return _Step(known, _Verdict.STALE)
    other = _differ(event.object_id, fact.object_id)
    if fact.present is None:
        verdict = _Verdict.TAKEN
    else:
        verdict = _standing(event.order, fact.order, agrees=fact.present and not other)
    if verdict is _Verdict.DOUBTED and not fact.present and event.object_id and not other:
        verdict = _Verdict.STALE
    if verdict in (_Verdict.STALE, _Verdict.CONTRADICTED, _Verdict.UNCHANGED):
        return _Step(known, verdict)
    stated = Existence(
        present=True,
        object_id=event.object_id or fact.object_id,
        order=better(event.order, fact.order),
        floor=fact.floor,
        source=source if other or not fact.present else fact.source,
    )
    after = replace(known, existence=stated)
    if other or not fact.present:
        after = replace(after, flags=Flags(), flags_order=None, consent=None)
    return _Step(after, verdict, reinstalled=other and fact.present is True)


def _removal(known: Instance, event: Event, source: Source) -> _Step:
    """What a statement that the instance is gone does to its existence."""
    fact = known.existence
    floor = better(event.order, fact.floor)
    verdict = _Verdict.TAKEN
    if fact.present is not None:
        verdict = _standing(event.order, fact.order, agrees=fact.present is False)
    other = _differ(event.object_id, fact.object_id)
    if verdict is _Verdict.DOUBTED and other:
        return _Step(known, _Verdict.STALE)
    if verdict is _Verdict.STALE:
        # It has been installed anew since. What lies below this removal is gone all the same.
        return _Step(_with_floor(known, floor), verdict)
    if verdict in (_Verdict.CONTRADICTED, _Verdict.UNCHANGED):
        return _Step(known, verdict)
    if verdict is _Verdict.DOUBTED:
        # Nothing tells the order, so all that is known so far lies before this removal.
        floor = better(floor, fact.order)
    gone = Existence(
        present=False,
        object_id=event.object_id or fact.object_id,
        order=better(event.order, fact.order),
        floor=floor,
        source=fact.source if fact.present is False else source,
    )
    return _Step(_with_floor(replace(known, existence=gone), floor), verdict)


def _flags(known: Instance, event: Event, source: Source) -> _Step:
    """What the flags that an event carries do to those that are known."""
    said, fact = event.flags, known.existence
    other = _differ(event.object_id, fact.object_id)
    if said is None or below(event.order, fact.floor) or other or fact.present is not True:
        return _Step(known, _Verdict.UNCHANGED)
    if said.enabled_by_customer is True:
        order = better(event.order, known.consent.order if known.consent else None)
        known = replace(known, consent=Consent(order=order))
    if known.flags == Flags():
        verdict = _Verdict.TAKEN
    else:
        agrees = said.over(known.flags) == known.flags.over(said)
        verdict = _standing(event.order, known.flags_order, agrees=agrees)
    if verdict in (_Verdict.STALE, _Verdict.CONTRADICTED, _Verdict.UNCHANGED):
        return _Step(replace(known, flags=known.flags.over(said)), verdict)
    flags = said.over(known.flags)
    after = replace(
        known,
        flags=flags,
        flags_order=better(event.order, known.flags_order),
        flags_source=source if flags != known.flags else known.flags_source,
        offering=event.offering or known.offering,
        node_id=event.node_id or known.node_id,
        customer_name=event.customer_name or known.customer_name,
        stated=event.stated or known.stated,
    )
    return _Step(after, verdict)


def _confirmation(known: Instance, event: Event, verdicts: tuple[_Verdict, _Verdict]) -> Instance:
    """Rules 4 and 5: whether a doubt arises, or a proven statement ends one."""
    doubted = _Verdict.DOUBTED in verdicts or _Verdict.CONTRADICTED in verdicts
    hinted = event.hint and (_Verdict.TAKEN in verdicts or _Verdict.AGREED in verdicts)
    if doubted or hinted:
        return replace(known, confirmed=False, confirm_wanted=known.confirm_wanted + 1)
    proven = event.order is not None and event.order.proves_change and not event.hint
    if proven and _Verdict.TAKEN in verdicts:
        return replace(known, confirmed=True)
    return known


def _secrets(
    known: Instance, event: Event, source: Source, digest: Digest
) -> tuple[Instance, bool]:
    """Merge secrets and signing policy; whether one in force is new."""
    merged, slots, policy = False, dict(known.secrets), known.policy
    for name, value in event.secrets.items():
        held = slots.get(name)
        mark = digest(name, value, held.current.digest if held else None)
        slot = hold(held, Secret(digest=mark, order=event.order, source=source))
        changed = held is None or held.current.digest != slot.current.digest
        merged = merged or (changed and known.in_force(slot.current))
        slots[name] = slot
    if event.policy is not None and event.policy.fingerprint not in known.revoked:
        policy = hold(policy, HeldPolicy(policy=event.policy, order=event.order, source=source))
        changed = known.policy is None or known.policy.current.digest != policy.current.digest
        merged = merged or (changed and known.in_force(policy.current))
    return replace(known, secrets=slots, policy=policy), merged


def _revoke(known: Instance | None, event: Event, arrival: Arrival) -> Folded:
    """Take a learned key out of force: the current one with the one before it, or that alone."""
    slot = known.policy if known else None
    if known is None or slot is None or event.fingerprint is None:
        return Folded(instance=known, outcome=Outcome.UNCHANGED)
    if slot.current.policy.fingerprint == event.fingerprint:
        slot = None
    elif slot.previous and slot.previous.policy.fingerprint == event.fingerprint:
        slot = replace(slot, previous=None, replaced_at=None)
    else:
        return Folded(instance=known, outcome=Outcome.UNCHANGED)
    after = replace(
        known,
        policy=slot,
        revoked=(*known.revoked, event.fingerprint),
        version=known.version + 1,
        entry=arrival.entry,
    )
    return Folded(instance=after, outcome=Outcome.APPLIED)


def _transitions(
    known: Instance, after: Instance, event: Event, arrival: Arrival, *, reinstalled: bool
) -> tuple[Transition, ...]:
    if after.existence.present is None:
        return ()
    start = None if known.existence.present is None else known.status
    steps: list[tuple[Happening, Status | None, Status]] = []
    if reinstalled:
        steps.append((Happening.REMOVED, start, Status.REMOVED))
        start = Status.REMOVED
    steps += [(name, start, after.status) for name in TABLE[start][after.status]]
    return tuple(
        Transition(
            id=f"{arrival.delivery}.{index}",
            name=name,
            number=known.transitions + index,
            from_status=before,
            to_status=to,
            at=arrival.at,
            cause=event.type,
            delivery=arrival.delivery,
            order=str(event.order) if event.order else None,
            signer=arrival.signer,
        )
        for index, (name, before, to) in enumerate(steps, start=1)
    )


def _notice(name: Happening, status: Status | None, event: Event, arrival: Arrival) -> Transition:
    return Transition(
        id=f"{arrival.delivery}.{name}",
        name=name,
        from_status=status,
        to_status=status,
        at=arrival.at,
        cause=event.type,
        delivery=arrival.delivery,
        order=str(event.order) if event.order else None,
        signer=arrival.signer,
    )


def _with_floor(known: Instance, floor: OrderKey | None) -> Instance:
    """Raise a removal's floor; the yes of an installation that is gone is no longer one."""
    consent = known.consent
    if known.existence.present is False or (consent and below(consent.order, floor)):
        consent = None
    return replace(known, existence=replace(known.existence, floor=floor), consent=consent)


def _differ(stated: str | None, known: str | None) -> bool:
    return stated is not None and known is not None and stated != known


def _facts(instance: Instance) -> tuple[Any, ...]:
    """What a transition is about: everything but secrets, keys and counters."""
    existence = instance.existence
    return (
        existence.present,
        existence.object_id,
        instance.flags,
        instance.stated,
        instance.customer_name,
    )
