"""Why an instance is in its state: its facts, its history, and what is still under way.

Asked by operators, for a pseudo-instance `platform/app/-` too. Gives one document, without any
secret's value. Looks back over a bounded part of the log.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.machine import Outcome
from innkeeper.lifecycle.transitions import Transition
from innkeeper.operations.deliveries import WAITING, entry_document, kept_of, outcome_of
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import (
    INSTANCE_FIELDS,
    instance_document,
    rfc3339,
    seconds_utc,
    transition_document,
)
from innkeeper.operations.policies import policies_of, policy_document
from innkeeper.operations.reasons import facts_of, secrets_of, why_status, why_unconfirmed
from innkeeper.store.entry import Entry
from innkeeper.store.outbox import WorkState
from innkeeper.store.partitions import partition_of

LOOK_BACK = 20_000
"""How many entries of the partition's log are looked through, at most."""
_MOST_ENTRIES = 1000


def explain(desk: Desk, key: InstanceKey) -> dict[str, Any] | None:
    """All that is known of why; None where nothing is. Raises StoreError, StoreUnavailable."""
    line = desk.register.line(key)
    transitions, notices = desk.register.transitions(key), desk.register.notices(key)
    entries = list(islice(kept_of(desk, key, look_back=LOOK_BACK), _MOST_ENTRIES))
    if line is None and not (transitions or notices or entries):
        return None
    instance = line.instance if line else None
    history = [*transitions, *notices]
    ids = [id_ for happening in history for id_ in happening.follow_ups.values()]
    works = desk.outbox.states(key, ids)
    kept = {entry.delivery: entry for entry in entries}
    return {
        "id": str(key),
        "instance": instance_document(line, INSTANCE_FIELDS) if line else None,
        "why": why_status(instance) if instance else None,
        "unconfirmed": why_unconfirmed(desk.config, instance) if instance else None,
        "facts": facts_of(instance) if instance else [],
        "secrets": secrets_of(instance) if instance else [],
        "signing_policies": [policy_document(p) for p in policies_of(desk, instance)]
        if instance
        else [],
        "transitions": [_told(desk, one, works, kept) for one in transitions],
        "notices": [_told(desk, one, works, kept) for one in notices],
        "without_effect": [entry_document(e) for e in entries if _is_without_effect(e, history)],
        "waiting": _waiting(desk, key, entries),
    }


def _told(
    desk: Desk,
    happening: Transition,
    works: dict[str, WorkState],
    kept: dict[DeliveryId, Entry],
) -> dict[str, Any]:
    """A transition or notice with the delivery behind it and what it set off."""
    found = kept.get(happening.delivery) or desk.log.find(happening.delivery)
    follow_ups = [
        {"name": name, "idempotency_key": id_} | _state(works.get(id_))
        for name, id_ in happening.follow_ups.items()
    ]
    return transition_document(happening) | {
        "order": happening.order,
        "signer": happening.signer,
        "received_at": rfc3339(seconds_utc(_millis_in(happening.delivery) / 1000)),
        "source": found.source if found else None,
        "kept": found is not None,
        "replays": found.replays if found else None,
        "follow_ups": follow_ups,
    }


def _state(work: WorkState | None) -> dict[str, Any]:
    """How far a follow-up has come. What was done long ago is no longer told."""
    if work is None:
        return {"state": None}
    return {
        "state": work.state,
        "attempts": work.attempts,
        "error": work.error or None,
        "first_at": rfc3339(work.first_at) if work.first_at else None,
        "at": rfc3339(work.at) if work.at else None,
    }


def _is_without_effect(entry: Entry, history: list[Transition]) -> bool:
    if outcome_of(entry) in (WAITING, Outcome.APPLIED):
        return False
    return all(happening.delivery != entry.delivery for happening in history)


def _waiting(desk: Desk, key: InstanceKey, entries: list[Entry]) -> dict[str, Any]:
    """What is under way: deliveries to be folded, work in the lanes, a partition that stands."""
    trouble = desk.troubles.all().get(partition_of(key))
    lanes = [
        {
            "lane": kind,
            "length": lane.length,
            "due_at": rfc3339(lane.due_at) if lane.due_at else None,
            "blocked_by": lane.blocked_by,
        }
        for kind, lane in desk.outbox.lanes(key).items()
    ]
    return {
        "deliveries": [entry_document(e) for e in entries if outcome_of(e) == WAITING],
        "lanes": lanes,
        "partition": partition_of(key),
        "trouble": (trouble.stopped or trouble.error or None) if trouble else None,
    }


def _millis_in(delivery: DeliveryId) -> int:
    """The time that stands in a delivery's id."""
    return int(delivery.partition("-")[2].replace("-", "")[:12], 16)
