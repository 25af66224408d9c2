"""What the register may say of an instance, given what the senders were told.

The reference model folds exactly what was answered 2xx, and any part of what was not: that may or
may not have come in.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import UNSET

from tests.faults.load import Sent
from tests.lifecycle.reference import fold_sorted

_MOST_UNKNOWN = 12
_FLAGS = ("disabled", "suspended", "enabled_by_customer")


class Standing(NamedTuple):
    """An instance as the register shows it; of one who is gone, flags and secrets are history."""

    status: str
    flags: tuple[bool | None, ...] = ()
    secrets: tuple[tuple[str, Any], ...] = ()
    policy: str | None = None


Standings = set[Standing | None]
"""None: it is not there."""


def by_instance(ledger: Iterable[Sent]) -> dict[str, list[Sent]]:
    """The ledger, instance by instance, each in its order of sending."""
    found: dict[str, list[Sent]] = defaultdict(list)
    for sent in ledger:
        found[sent.message.instance].append(sent)
    return found


def standings(story: list[Sent]) -> Standings:
    """All that may be true of an instance after its story."""
    telling = [sent for sent in story if sent.message.kind != "app_event"]
    return {_standing([sent.message for sent in chosen]) for chosen in _choices(telling)}


def app_events(story: list[Sent]) -> range:
    """How many app events may have been set off for an instance."""
    shared = [sent for sent in story if sent.message.kind == "app_event"]
    least = sum(sent.accepted for sent in shared)
    return range(least, least + sum(sent.unknown for sent in shared) + 1)


def standing_of(row: dict[str, Any], secrets: dict[str, Any], policy: str | None) -> Standing:
    """What the register says. `policy`: the fingerprint of the learned key in force."""
    if row["status"] == "removed":
        return Standing("removed")
    return Standing(
        row["status"],
        tuple(row[name] for name in _FLAGS),
        tuple(sorted(secrets.items())),
        policy,
    )


def _choices(story: list[Sent]) -> Iterator[list[Sent]]:
    """Those that were taken, with any of those that may have been, in their order."""
    unknown = [sent for sent in story if sent.unknown]
    assert len(unknown) <= _MOST_UNKNOWN, "too much was not answered for a judgement"
    for count in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, count):
            chosen = {id(sent) for sent in some}
            yield [sent for sent in story if sent.accepted or id(sent) in chosen]


def _standing(messages: list[Any]) -> Standing | None:
    if not messages:
        return None
    if messages[0].kind == "rebilly":
        on = messages[-1].switches
        return Standing("enabled" if on else "disabled", (not on, None, None))
    model = fold_sorted(one.event for one in messages)
    if model.status == "removed":
        return Standing("removed")
    said = (model.flags[name] for name in _FLAGS)
    return Standing(
        model.status,
        tuple(None if flag is UNSET else flag for flag in said),
        tuple(sorted(model.in_force.items())),
        model.policy_in_force,
    )
