"""Folds one entry of the log: the same for apply, for trimming and for rebuilding.

What comes out depends on the instance before, the entry and its event alone. It must not know who
folds, nor what is done with the outcome.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from innkeeper.lifecycle.events import Event
from innkeeper.lifecycle.facts import Digest
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.machine import Arrival, Folded, Outcome, fold
from innkeeper.store.entry import Entry

DEAD = "dead"
"""The outcome of an entry that became a dead letter."""
REPETITION = f"{Outcome.UNCHANGED} (a repetition)"
"""The outcome of a replay, by an operator, of what had its effect before: it is not folded."""


def refold(instance: Instance | None, entry: Entry, event: Event, digest: Digest) -> Folded:
    """Take an entry into its instance, which then names it as its last. Raises Impossible."""
    arrival = Arrival(
        delivery=entry.delivery,
        at=datetime.fromtimestamp(entry.at, UTC),
        signer=entry.signer,
        entry=entry.stream_id,
    )
    folded = fold(instance, entry.instance, event, arrival, digest)
    if folded.instance is None:
        return folded
    # Whatever became of it: the record has to tell whether the log holds newer entries about it.
    return replace(folded, instance=replace(folded.instance, entry=entry.stream_id))


def was_folded(entry: Entry) -> bool:
    """Whether an entry was taken into its instance, as its outcome tells."""
    left_out = entry.mark is not None or entry.instance.is_pseudo
    return not left_out and entry.outcome not in ("", DEAD, REPETITION)
