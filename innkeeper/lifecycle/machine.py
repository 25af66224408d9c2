"""The state machine: one function, `fold`, that takes an event into an instance.

 1. Order is kept per fact: existence, the flags together, the signing policy, each secret by name.
    An event changes only the facts that it carries, and only where its key is newer.
 2. A removal's key is a floor under all facts: what was stated at or below it belongs to an
    installation that is gone. A removed instance stays, with its keys.
 3. Under equal keys the first statement stands; one that disagrees with it leaves a doubt.
 4. `issued` keys, and keys of different kinds, prove no order. Such a statement that disagrees
    with what is known is a doubt, and so is a hint, unless its key shows it to be old.
 5. A doubt waits for a read where one is possible; otherwise it is taken in its order of arrival
    and marked unconfirmed. It never brings into being what only its own word supports, where its
    maker says so. A wish to have the instance read back is a doubt that states nothing.
 6. A read is taken if nothing has changed the instance since before its request, nor told anew
    under a newer key what is known; else it is overtaken, and wanted again. Where it shares no kind
    of key with deliveries, a delivery changes what it set only through another read.
 7. Another object id is another installation; the same object never comes back from removal,
    unless a newer key says so. A stale statement still tells what nobody has told since: a flag
    that is not known, a customer's yes, a removal's key. So does one that waits: a removal's key
    counts at once, a yes once nothing is doubted any more, though a read may find it withdrawn.
 8. Secrets and signing policies merge and are kept whatever the order; the floor decides which are
    in force. A key that an operator revoked is not learned again. Those of a hint that waits for a
    read are the read's to bring.
 9. The status is derived from the facts, the transitions from the table of statuses; but who was
    there before us is adopted, and the first flags that an import did not know are no step.
10. What no marketplace can produce raises: an event about an instance that belongs to an app's
    pseudo-instance, an event of a kind that states nothing.
11. Of an instance that an operator has forgotten nothing is known: what comes next is its first.

Pure: the same instance, event and arrival always give the same result.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from innkeeper.lifecycle import facts
from innkeeper.lifecycle.errors import Impossible
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, Flags, InstanceKey
from innkeeper.lifecycle.facts import Digest, Verdict
from innkeeper.lifecycle.instance import Instance, Source, Status, status_of
from innkeeper.lifecycle.order import OrderKey, better
from innkeeper.lifecycle.transitions import TABLE, Happening, Transition


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
    WAITING = "waiting"
    """A doubt that a read will settle."""
    OVERTAKEN = "overtaken"
    """A read that something else was faster than."""
    UNSUPPORTED = "unsupported"
    """A hint about an instance that nothing else speaks of."""


REPEATS_NOTHING = frozenset(Outcome) - {Outcome.UNSUPPORTED}
"""What was taken once: the same event again, replayed by an operator, changes nothing."""


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """The instance after the event, and what happened to it. `confirm`: it is to be read back."""

    instance: Instance | None
    outcome: Outcome
    happenings: tuple[Transition, ...] = ()
    confirm: bool = False


_NOTICES = {
    EventKind.APP_EVENT: Happening.APP_EVENT,
    EventKind.HANDSHAKE: Happening.HANDSHAKE,
    EventKind.SET_OFF: Happening.ADOPTED,
}


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
    if event.kind is EventKind.DESTROYED:
        return _destroy(instance, arrival)
    if event.kind is EventKind.FORGOTTEN:
        return Folded(instance=None, outcome=Outcome.APPLIED)
    if event.kind is EventKind.WISHED:
        return _wish(instance, event, arrival)
    known = instance or Instance(platform=key.platform, app=key.app, account=key.account)
    if not event.creates and known.existence.present is not True:
        return Folded(instance=instance, outcome=Outcome.UNSUPPORTED, confirm=event.confirmable)
    if event.read is not None and event.read.at_version != known.version:
        return Folded(instance=instance, outcome=Outcome.OVERTAKEN, confirm=True)
    return _fold_facts(known, event, arrival, digest)


def _fold_facts(known: Instance, event: Event, arrival: Arrival, digest: Digest) -> Folded:
    source = Source(delivery=arrival.delivery, at=arrival.at)
    removes = event.kind is EventKind.REMOVED
    existing = (facts.removal if removes else facts.presence)(known, event, source)
    flagged = facts.flags(existing.instance, event, source)
    verdicts = (existing.verdict, flagged.verdict)
    if event.read is not None and Verdict.STALE in verdicts:
        # Read from a copy that is older than what we know.
        return Folded(instance=known, outcome=Outcome.OVERTAKEN, confirm=True)
    after, outcome = _confirmation(known, flagged.instance, event, verdicts)
    after, merged = facts.secrets(after, event, source, digest)
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
        steps = _transitions(known, after, event, arrival, reinstalled=existing.reinstalled)
    after = replace(
        after,
        version=known.version + (changed or merged or _keys(after) != _keys(known)),
        transitions=known.transitions + len(steps),
    )
    if merged:
        steps += (_notice(Happening.SECRETS_UPDATED, after.status, event, arrival),)
    confirm = event.confirmable and after.confirm_wanted > known.confirm_wanted
    if changed or merged:
        outcome = Outcome.APPLIED
    return Folded(instance=after, outcome=outcome, happenings=steps, confirm=confirm)


def _confirmation(
    known: Instance, after: Instance, event: Event, verdicts: tuple[Verdict, Verdict]
) -> tuple[Instance, Outcome]:
    """Rules 4 to 6: whether a doubt arises and waits, or a read or a proven statement ends one."""
    if event.read is not None:
        settled = max(after.confirm_settled, event.read.settles)
        confirmed = after.confirm_wanted <= settled
        after = replace(after, confirm_settled=settled, confirmed=confirmed)
        if confirmed:
            told = after.consent_told
            if told and facts.differ(told.object_id, after.existence.object_id):
                told = None
            after = replace(after, consent=after.consent or told, consent_told=None)
        return after, Outcome.UNCHANGED
    doubted = Verdict.DOUBTED in verdicts or Verdict.CONTRADICTED in verdicts
    hinted = event.hint and (Verdict.TAKEN in verdicts or Verdict.AGREED in verdicts)
    if doubted or hinted:
        base = _waiting(known, after, event) if event.confirmable else after
        base = replace(base, confirmed=False, confirm_wanted=base.confirm_wanted + 1)
        return base, Outcome.WAITING if event.confirmable else Outcome.UNCHANGED
    proven = event.order is not None and event.order.proves_change and not event.hint
    if proven and Verdict.TAKEN in verdicts:
        after = replace(after, confirmed=True)
    return after, Outcome.STALE if Verdict.STALE in verdicts else Outcome.UNCHANGED


def _waiting(known: Instance, after: Instance, event: Event) -> Instance:
    """What a statement that waits leaves of all that it says: a proven yes, for later, and at once
    a proven removal's key: what lay below it belonged to what was removed then, whatever is there
    now."""
    proven = event.order is not None and event.order.proves_change and not event.hint
    if proven and event.kind is EventKind.REMOVED:
        floor = better(event.order, known.existence.floor)
        return replace(known, existence=replace(known.existence, floor=floor))
    if not proven or after.consent is None or after.consent == known.consent:
        return known
    told = replace(after.consent, object_id=after.existence.object_id)
    return replace(known, consent_told=told)


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


def _destroy(known: Instance | None, arrival: Arrival) -> Folded:
    """Let go of a removed instance's secrets and keys; of one that has come back, none."""
    gone = known is not None and known.status is Status.REMOVED
    if known is None or not gone or not (known.secrets or known.policy):
        return Folded(instance=known, outcome=Outcome.UNCHANGED)
    after = replace(known, secrets={}, policy=None, version=known.version + 1, entry=arrival.entry)
    return Folded(instance=after, outcome=Outcome.APPLIED)


def _wish(known: Instance | None, event: Event, arrival: Arrival) -> Folded:
    """A doubt without a statement: what is known stands, until a read has confirmed it."""
    after = known
    if known is not None:
        wanted = known.confirm_wanted + 1
        after = replace(known, confirmed=False, confirm_wanted=wanted, entry=arrival.entry)
    outcome = Outcome.WAITING if event.confirmable else Outcome.UNCHANGED
    return Folded(instance=after, outcome=outcome, confirm=event.confirmable)


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
    names = TABLE[start][after.status]
    if event.adopts:
        names = _adoption(known, start) or names
    steps += [(name, start, after.status) for name in names]
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


def _adoption(known: Instance, start: Status | None) -> tuple[Happening, ...]:
    """What a statement about an instance that was there before us is; none: what it always is.

    Where an import stated no flags, the first that tells them is no step of the customer's.
    """
    if start is None:
        return (Happening.ADOPTED,)
    fresh = start is Status.PENDING and known.existence.adopted and known.flags == Flags()
    return (Happening.UPDATED,) if fresh else ()


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


def _keys(instance: Instance) -> tuple[OrderKey | None, ...]:
    """How far the order of the facts has come, whether or not they changed."""
    return instance.existence.order, instance.existence.floor, instance.flags_order
