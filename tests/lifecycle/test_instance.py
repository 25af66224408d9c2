"""What follows from an instance's facts: its status, and what a named slot keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from msgspec import UNSET

from innkeeper.lifecycle.events import DeliveryId, Flags, Phase
from innkeeper.lifecycle.instance import (
    Consent,
    Existence,
    Instance,
    Secret,
    Slot,
    Source,
    Status,
    hold,
    status_of,
)
from tests.lifecycle.telling import order

START = datetime(2026, 1, 1, tzinfo=UTC)


def instance(present: bool | None = True, seen_yes: bool = False, **flags) -> Instance:
    """Facts of an instance that operates, but for what is named."""
    defaults = {"disabled": False, "suspended": False, "enabled_by_customer": True, "phase": None}
    return Instance(
        platform="market",
        app="tides",
        account="lighthouse",
        existence=Existence(present=present),
        flags=Flags(**(defaults | flags)),
        consent=Consent() if seen_yes else None,
    )


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        (Status.REMOVED, instance(present=False, disabled=True, suspended=True)),
        (Status.DISABLED, instance(disabled=True, suspended=True)),
        (Status.DISABLED, instance(disabled=True, enabled_by_customer=False)),
        (Status.DISABLED, instance(enabled_by_customer=False, seen_yes=True)),
        (Status.DISABLED, instance(enabled_by_customer=False, seen_yes=True, suspended=True)),
        (Status.SUSPENDED, instance(suspended=True)),
        (Status.SUSPENDED, instance(suspended=True, enabled_by_customer=False)),
        (Status.SUSPENDED, instance(suspended=True, phase=Phase.ENABLING)),
        (Status.PENDING, instance(present=None)),
        (Status.PENDING, instance(enabled_by_customer=False)),
        (Status.PENDING, instance(enabled_by_customer=UNSET)),
        (Status.PENDING, instance(enabled_by_customer=False, phase=Phase.ENABLING)),
        (Status.ENABLING, instance(phase=Phase.ENABLING)),
        (Status.DISABLING, instance(phase=Phase.DISABLING)),
        (Status.ENABLED, instance()),
        (Status.ENABLED, instance(enabled_by_customer=None, suspended=None)),
        (Status.ENABLED, instance(suspended=UNSET, disabled=UNSET, phase=UNSET)),
    ],
)
def test_the_status_is_the_first_that_holds(expected, facts):
    """Removed before disabled before suspended before pending before a phase before enabled."""
    assert status_of(facts) is expected


def secret(value: str, at: int | str | None, arrived: int = 0) -> Secret:
    """A statement of a secret; its value is its digest."""
    source = Source(delivery=DeliveryId(f"00-{value}"), at=START + timedelta(seconds=arrived))
    return Secret(digest=value, order=order(at), source=source)


def held(*stated: Secret) -> Slot[Secret]:
    """The slot after these statements, in this order."""
    slot: Slot[Secret] | None = None
    for one in stated:
        slot = hold(slot, one)
    assert slot is not None
    return slot


def values(slot: Slot[Secret]) -> tuple[str, str | None]:
    """The current value and the previous one."""
    return slot.current.digest, slot.previous.digest if slot.previous else None


@pytest.mark.parametrize(
    ("expected", "stated"),
    [
        (("c", "b"), [("a", 1), ("b", 2), ("c", 3)]),
        (("a", "b"), [("a", 1), ("b", 2), ("a", 3)]),
        (("b", "a"), [("a", 1), ("b", 2), ("b", 3)]),
        (("b", "a"), [("a", 1), ("b", 1)]),
        (("c", "b"), [("a", 1), ("b", 1), ("c", 1)]),
        (("c", "b"), [("a", 1), ("b", 2), ("b", 3), ("c", 4)]),
        (("a", "c"), [("a", 1), ("b", 2), ("c", 3), ("a", 4)]),
    ],
)
def test_the_same_two_remain_in_whichever_order_they_arrive(expected, stated):
    """The newest value is the current one, the newest other value the previous one."""
    for told in permutations([secret(*one) for one in stated]):
        assert values(held(*told)) == expected


def test_where_no_order_is_known_the_later_arrival_is_the_current_one():
    """Statements that cannot be compared replace each other as they come."""
    assert values(held(secret("a", None), secret("b", None))) == ("b", "a")
    assert values(held(secret("a", 5), secret("b", "issued:1"))) == ("b", "a")


def test_a_worse_kind_of_key_does_not_take_the_better_one_away():
    """A value that came with a time of issue still yields only to a newer audit line."""
    slot = held(secret("a", 5), secret("b", "issued:900"))
    assert slot.current.order == order(5)
    assert values(hold(slot, secret("c", 4))) == ("b", "a")
    assert values(hold(slot, secret("c", 6))) == ("c", "b")


def test_the_grace_period_starts_when_the_later_of_the_two_arrives():
    """`replaced_at` is the arrival that made the previous value the previous one."""
    slot = held(secret("a", 1, arrived=10), secret("b", 2, arrived=20))
    assert slot.replaced_at == START + timedelta(seconds=20)


def test_a_value_said_again_keeps_its_place_and_source():
    """The same value under a newer key is not a replacement, and starts no grace period."""
    slot = held(secret("a", 1, arrived=10), secret("a", 2, arrived=20))
    assert values(slot) == ("a", None)
    assert slot.current.order == order(2)
    assert slot.current.source.at == START + timedelta(seconds=10)
    assert slot.replaced_at is None
    assert hold(slot, secret("a", 1, arrived=30)) == slot
    assert hold(slot, secret("a", "issued:900", arrived=30)) == slot
