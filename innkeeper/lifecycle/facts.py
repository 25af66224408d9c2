"""What a statement does to each fact of an instance: existence, flags, secrets, signing policy.

Used by the machine, whose rules are cited here by number. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec.structs import replace

from innkeeper.lifecycle.events import Event, EventKind, Flags
from innkeeper.lifecycle.instance import (
    Consent,
    Existence,
    HeldPolicy,
    Instance,
    Secret,
    Source,
    hold,
)
from innkeeper.lifecycle.order import Order, OrderKey, below, better, compare

Digest = Callable[[str, Any], str]
"""Of a secret's name and its value: a keyed digest, the same for equal values."""


class Verdict(StrEnum):
    """How a statement stands to a fact."""

    TAKEN = "taken"
    DOUBTED = "doubted"
    """Nothing proves its order: taken in its order of arrival, or waiting for a read."""
    AGREED = "agreed"
    """Says what is known; nothing tells its order."""
    UNCHANGED = "unchanged"
    CONTRADICTED = "contradicted"
    """Not taken, though nothing shows it to be old: to be confirmed."""
    STALE = "stale"


class Step(NamedTuple):
    """The instance after one fact was looked at, and how the statement stood to it."""

    instance: Instance
    verdict: Verdict
    reinstalled: bool = False


_NOT_TAKEN = (Verdict.STALE, Verdict.CONTRADICTED, Verdict.UNCHANGED)


def standing(event: Event, known: OrderKey | None, *, agrees: bool, by_read: bool) -> Verdict:
    """Rules 1, 3, 4 and 6: how a statement stands to a fact that is known.

    `known`: the fact's order key. `by_read`: a read set the fact, and reads have no key in common
    with deliveries.
    """
    stated, order = event.order, Order.UNKNOWN
    if stated and stated.proves_change:
        order = compare(stated, known)
    if order is Order.OLDER:
        return Verdict.STALE
    if event.read is not None:
        return Verdict.TAKEN
    if order is Order.SAME:
        return Verdict.UNCHANGED if agrees else Verdict.CONTRADICTED
    if order is Order.NEWER and not by_read:
        return Verdict.TAKEN
    return Verdict.AGREED if agrees else Verdict.DOUBTED


def presence(known: Instance, event: Event, source: Source) -> Step:
    """What a statement that the instance is there does to its existence."""
    fact = known.existence
    if event.kind is not EventKind.STATED:
        return Step(known, Verdict.UNCHANGED)
    if below(event.order, fact.floor):
        return Step(known, Verdict.STALE)
    other = differ(event.object_id, fact.object_id)
    verdict = Verdict.TAKEN
    if fact.present is not None:
        agrees = fact.present and not other
        verdict = standing(event, fact.order, agrees=agrees, by_read=fact.by_read)
    if verdict is Verdict.DOUBTED and _comes_back(fact, event):
        verdict = Verdict.STALE
    if verdict in _NOT_TAKEN:
        return Step(known, verdict)
    arrives = other or not fact.present
    stated = Existence(
        present=True,
        object_id=event.object_id or fact.object_id,
        order=better(event.order, fact.order),
        floor=fact.floor,
        by_read=_by_read(event, verdict, before=fact.by_read),
        adopted=event.adopts if arrives else fact.adopted,
        source=source if arrives else fact.source,
    )
    after = replace(known, existence=stated)
    if arrives:
        told = known.consent_told
        kept = told if told and told.object_id == stated.object_id else None
        unknown = {"flags_order": None, "consent": None, "consent_told": kept}
        after = replace(after, flags=Flags(), flags_by_read=False, **unknown)
    return Step(after, verdict, reinstalled=other and fact.present is True)


def removal(known: Instance, event: Event, source: Source) -> Step:
    """What a statement that the instance is gone does to its existence."""
    fact = known.existence
    floor = better(event.order, fact.floor)
    verdict = Verdict.TAKEN
    if fact.present is not None:
        gone_already = fact.present is False
        verdict = standing(event, fact.order, agrees=gone_already, by_read=fact.by_read)
    if verdict is Verdict.DOUBTED and differ(event.object_id, fact.object_id):
        verdict = Verdict.STALE
    if verdict is Verdict.STALE:
        # It has been installed anew since. What lies below this removal is gone all the same.
        return Step(_with_floor(known, floor), verdict)
    if verdict in _NOT_TAKEN:
        return Step(known, verdict)
    if verdict is Verdict.DOUBTED or event.read is not None:
        # Nothing tells the order, so all that is known so far lies before this removal.
        floor = better(floor, fact.order)
    gone = Existence(
        present=False,
        object_id=event.object_id or fact.object_id,
        order=better(event.order, fact.order),
        floor=floor,
        by_read=_by_read(event, verdict, before=fact.by_read),
        source=fact.source if fact.present is False else source,
    )
    return Step(_with_floor(replace(known, existence=gone), floor), verdict)


def flags(known: Instance, event: Event, source: Source) -> Step:
    """What the flags that an event carries do to those that are known."""
    said, fact = event.flags, known.existence
    other = differ(event.object_id, fact.object_id)
    if said is None or below(event.order, fact.floor) or other or fact.present is not True:
        return Step(known, Verdict.UNCHANGED)
    if said.enabled_by_customer is True:
        order = better(event.order, known.consent.order if known.consent else None)
        known = replace(known, consent=Consent(order=order))
    verdict = Verdict.TAKEN
    if known.flags != Flags():
        agrees = said.over(known.flags) == known.flags.over(said)
        verdict = standing(event, known.flags_order, agrees=agrees, by_read=known.flags_by_read)
    if verdict in _NOT_TAKEN:
        return Step(replace(known, flags=known.flags.over(said)), verdict)
    merged = said.over(known.flags)
    after = replace(
        known,
        flags=merged,
        flags_order=better(event.order, known.flags_order),
        flags_by_read=_by_read(event, verdict, before=known.flags_by_read),
        flags_source=source if merged != known.flags else known.flags_source,
        offering=event.offering or known.offering,
        node_id=event.node_id or known.node_id,
        customer_name=event.customer_name or known.customer_name,
        stated=known.stated | event.stated,
    )
    return Step(after, verdict)


def secrets(known: Instance, event: Event, source: Source, digest: Digest) -> tuple[Instance, bool]:
    """Rule 8: merge secrets and signing policy; whether one in force is new."""
    if event.hint and event.confirmable:
        return known, False
    merged, slots, policy = False, dict(known.secrets), known.policy
    for name, value in event.secrets.items():
        held = slots.get(name)
        mark = digest(name, value)
        slot = hold(held, Secret(digest=mark, order=event.order, source=source))
        changed = held is None or held.current.digest != slot.current.digest
        merged = merged or (changed and known.in_force(slot.current))
        slots[name] = slot
    if event.policy is not None and event.policy.fingerprint not in known.revoked:
        policy = hold(policy, HeldPolicy(policy=event.policy, order=event.order, source=source))
        changed = known.policy is None or known.policy.current.digest != policy.current.digest
        merged = merged or (changed and known.in_force(policy.current))
    return replace(known, secrets=slots, policy=policy), merged


def _comes_back(fact: Existence, event: Event) -> bool:
    """Whether an object that is gone is said to be there by what proves no later change."""
    order = compare(event.order, fact.order)
    proven = event.order is not None and event.order.proves_change and order is Order.NEWER
    same = event.object_id is not None and not differ(event.object_id, fact.object_id)
    return fact.present is False and same and not proven


def _by_read(event: Event, verdict: Verdict, *, before: bool) -> bool:
    """Whether the fact now rests on a read that shares no key with deliveries."""
    if event.read is not None:
        return event.order is None
    return before and verdict is Verdict.AGREED


def _with_floor(known: Instance, floor: OrderKey | None) -> Instance:
    """Raise a removal's floor; the yes of an installation that is gone is no longer one."""
    gone, said = known.existence.present is False, known.consent_told
    consent = known.consent
    if gone or (consent and below(consent.order, floor)):
        consent = None
    # Of another object, the yes waits for a read to show it.
    same = said is not None and not differ(said.object_id, known.existence.object_id)
    told = None if said and ((gone and same) or below(said.order, floor)) else said
    existence = replace(known.existence, floor=floor)
    return replace(known, existence=existence, consent=consent, consent_told=told)


def differ(stated: str | None, known: str | None) -> bool:
    """Whether both are known and not the same."""
    return stated is not None and known is not None and stated != known
