"""Digests under the store's own key."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from innkeeper.secrets import KeyRing, MissingKey
from innkeeper.store.connection import Store
from innkeeper.store.digests import DIGEST_KEY_PLACE, Digests
from innkeeper.store.keys import DIGEST_KEY
from tests.store.making import NOW, key_in

LOST = b"l" * 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


def test_the_key_is_made_once(store: Store, ring: KeyRing):
    """All processes use the one that was kept first, which lies there sealed."""
    first, second = (Digests(store, ring).of(key_in())("token", "canary") for _ in range(2))
    assert first == second
    assert len(ring.open(*DIGEST_KEY_PLACE, store.command("GET", DIGEST_KEY))) == 32


def test_nothing_is_made_before_it_is_needed(store: Store, ring: KeyRing):
    """Whoever only asks leaves no key behind."""
    Digests(store, ring).of(key_in())
    assert store.command("GET", DIGEST_KEY) is None


def test_a_digest_outlives_the_ring(store: Store):
    """Sealed anew under another ring, the key gives the same digests: nothing is news."""
    before, after = KeyRing([LOST]), KeyRing([bytes(32)])
    digest = Digests(store, before).of(key_in())("token", "value")
    key = before.open(*DIGEST_KEY_PLACE, store.command("GET", DIGEST_KEY))
    store.command("SET", DIGEST_KEY, after.seal(*DIGEST_KEY_PLACE, key, now=NOW))
    assert Digests(store, after).of(key_in())("token", "value") == digest


def test_without_its_ring_key_nothing_can_be_told(store: Store, ring: KeyRing):
    """A key that is missing is said to be, and no other is made in its place."""
    Digests(store, KeyRing([LOST])).of(key_in())("token", "value")
    held = store.command("GET", DIGEST_KEY)
    with pytest.raises(MissingKey):
        Digests(store, ring).of(key_in())("token", "value")
    assert store.command("GET", DIGEST_KEY) == held


def test_a_damaged_key_is_no_fault_of_the_entry(store: Store, ring: KeyRing):
    """It counts as missing, so that the partition stops."""
    store.command("SET", DIGEST_KEY, b"\x01" * 60)
    with pytest.raises(MissingKey):
        Digests(store, ring).of(key_in())("token", "value")
    sealed = ring.seal("digest", 1, DIGEST_KEY, b"k" * 32, now=NOW)
    store.command("SET", DIGEST_KEY, sealed)
    with pytest.raises(MissingKey, match="damaged"):
        Digests(store, ring).of(key_in())("token", "value")


def test_another_store_has_another_key(store: Store, ring: KeyRing, monkeypatch):
    """After a second, whoever remembers the key of a store that was wiped uses the new one."""
    digests = Digests(store, ring)
    held = digests.of(key_in())("token", "value")
    store.command("FLUSHALL")
    assert digests.of(key_in())("token", "value") == held
    monkeypatch.setattr("innkeeper.store.digests._FRESH_SECONDS", 0.0)
    fresh = digests.of(key_in())("token", "value")
    assert fresh != held
    assert fresh == Digests(store, ring).of(key_in())("token", "value")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(JSON, JSON)
def test_equal_values_have_equal_digests(store: Store, ring: KeyRing, left, right):
    """Of any JSON, the order of names aside; and no value stands in its digest."""
    digest = Digests(store, ring).of(key_in())
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (digest("a", left) == digest("a", right)) is same


def test_a_digest_is_bound_to_its_place(store: Store, ring: KeyRing):
    """Nobody sees that two customers, or two secrets of one, share a value."""
    digests = Digests(store, ring)
    found = {
        digests.of(key)(name, "value")
        for key in (key_in(7), key_in(8))
        for name in ("token", "key")
    }
    assert len(found) == 4
    assert all("value" not in one for one in found)
