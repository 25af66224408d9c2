"""The machine: any event moves an instance or is Impossible, and no secret is lost."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from innkeeper.lifecycle.errors import Impossible
from innkeeper.lifecycle.events import Event, EventKind, Flags, Phase, Read
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.order import OrderKey, OrderKind
from tests.fuzz.effort import effort
from tests.fuzz.words import has_surrogates, scalars
from tests.lifecycle.telling import arrive, signing

_flag = st.sampled_from([True, False, None, UNSET])
_text = st.sampled_from([None, "A", "B", "", "\0"])
_values = scalars.filter(lambda one: not has_surrogates(one) and one == one)
events = st.builds(
    Event,
    type=st.just("any"),
    kind=st.sampled_from(EventKind),
    order=st.none() | st.builds(OrderKey, st.sampled_from(OrderKind), st.integers(-1, 9)),
    hint=st.booleans(),
    creates=st.booleans(),
    confirmable=st.booleans(),
    adopts=st.booleans(),
    read=st.none() | st.builds(Read, at_version=st.integers(0, 6), settles=st.integers(0, 6)),
    object_id=_text,
    offering=_text,
    flags=st.none()
    | st.builds(Flags, disabled=_flag, suspended=_flag, enabled_by_customer=_flag,
                phase=st.sampled_from([None, UNSET, *Phase])),
    stated=st.dictionaries(st.sampled_from("ab"), _values, max_size=1),
    secrets=st.dictionaries(st.sampled_from(["pin", "token"]), _values, max_size=2),
    policy=st.none() | st.sampled_from(["k1", "k2"]).map(signing),
    fingerprint=st.sampled_from([None, "k1", "k2"]),
    payload=_values,
    callback=_text,
)  # fmt: skip


@effort(80)
@given(st.lists(events, max_size=8))
def test_any_events_in_any_order(told):
    """Only Impossible is raised, the version never falls, and each instance can be stored."""
    instance: Instance | None = None
    for number, event in enumerate(told, start=1):
        try:
            folded = arrive(instance, event, number)
        except Impossible:
            continue
        after = folded.instance
        if after is None:
            assert instance is None or event.kind is EventKind.FORGOTTEN
            instance = None
            continue
        assert after == msgspec.json.decode(msgspec.json.encode(after), type=Instance)
        if instance is not None:
            assert after.version >= instance.version
            assert set(instance.secrets) <= set(after.secrets) or event.kind is EventKind.DESTROYED
        instance = after
