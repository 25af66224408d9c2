"""Order keys: what is compared with what, and which key a fact bears afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.lifecycle.order import Order, OrderKey, OrderKind, below, better, compare

KEYS = st.builds(OrderKey, st.sampled_from(OrderKind), st.integers(0, 5))


def key(text: str) -> OrderKey:
    """The key that is written so."""
    kind, _, value = text.partition(":")
    return OrderKey(OrderKind(kind), int(value))


@pytest.mark.parametrize(
    ("stated", "known", "expected"),
    [
        ("audit:2", "audit:1", Order.NEWER),
        ("audit:1", "audit:2", Order.OLDER),
        ("audit:1", "audit:1", Order.SAME),
        ("issued:2", "issued:1", Order.NEWER),
        ("audit:9", "issued:1", Order.UNKNOWN),
        ("pass:9", "updated:1", Order.UNKNOWN),
        (None, "audit:1", Order.UNKNOWN),
        ("audit:1", None, Order.UNKNOWN),
        (None, None, Order.UNKNOWN),
    ],
)
def test_only_keys_of_one_kind_are_compared(stated, known, expected):
    """Two keys have an order where they are of one kind, and only there."""
    assert compare(stated and key(stated), known and key(known)) is expected


@pytest.mark.parametrize(
    ("stated", "known", "expected"),
    [
        ("audit:1", "audit:2", "audit:2"),
        ("audit:3", "audit:2", "audit:3"),
        ("issued:9", "audit:2", "audit:2"),
        ("issued:9", "updated:2", "updated:2"),
        ("issued:9", "pass:2", "pass:2"),
        ("updated:9", "audit:2", "audit:2"),
        ("pass:9", "audit:2", "audit:2"),
        ("audit:1", "issued:9", "audit:1"),
        ("updated:1", "pass:9", "updated:1"),
        ("pass:1", "updated:9", "pass:1"),
        (None, "issued:1", "issued:1"),
        ("issued:1", None, "issued:1"),
    ],
)
def test_a_key_is_replaced_by_one_of_the_same_or_a_better_kind(stated, known, expected):
    """A fact's key never falls to a worse kind, nor back within its own."""
    assert better(stated and key(stated), known and key(known)) == key(expected)


def test_no_keys_make_no_key():
    """Where neither statement has a key, the fact has none."""
    assert better(None, None) is None


@given(KEYS, KEYS)
def test_comparing_is_antisymmetric(left, right):
    """What is newer seen from one side is older seen from the other."""
    opposite = {Order.NEWER: Order.OLDER, Order.OLDER: Order.NEWER}
    seen = compare(left, right)
    assert compare(right, left) is opposite.get(seen, seen)


@pytest.mark.parametrize(
    ("stated", "floor", "expected"),
    [
        ("audit:1", "audit:2", True),
        ("audit:2", "audit:2", True),
        ("audit:3", "audit:2", False),
        ("issued:1", "audit:2", False),
        (None, "audit:2", False),
        ("audit:1", None, False),
    ],
)
def test_a_floor_holds_down_what_lies_at_or_under_it(stated, floor, expected):
    """At a removal's own key counts as under it; what cannot be compared is not held down."""
    assert below(stated and key(stated), floor and key(floor)) is expected


@pytest.mark.parametrize("kind", OrderKind)
def test_the_time_of_an_attempt_proves_no_change(kind):
    """Every kind of key but `issued` shows that a change is later."""
    assert OrderKey(kind, 1).proves_change is (kind is not OrderKind.ISSUED)


def test_a_key_is_written_as_kind_and_number():
    """Operators read `audit:48289`."""
    assert str(OrderKey(OrderKind.AUDIT, 48289)) == "audit:48289"
