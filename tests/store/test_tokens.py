"""Access tokens in the store: encrypted, until they run out, and signed in for by one at a time."""

from __future__ import annotations

import time

import pytest

from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.tokens import Tokens

NAME = "xurrent:0123"


@pytest.fixture
def tokens(store: Store, ring: KeyRing) -> Tokens:
    """No token yet."""
    return Tokens(store, ring)


def test_a_token_is_kept_encrypted(store: Store, tokens: Tokens):
    """A token is given back as it was, and nothing in the store holds it in clear."""
    tokens.put(NAME, "canary-token", lives_seconds=60)
    assert tokens.get(NAME) == "canary-token"
    assert b"canary" not in store.command("GET", f"ik:token:{NAME}")
    assert 0 < store.command("PTTL", f"ik:token:{NAME}") <= 60_000


def test_no_token(tokens: Tokens):
    """A token that nobody put there, or that does not live a second, is none."""
    tokens.put(NAME, "short", lives_seconds=0.5)
    assert tokens.get(NAME) is None


def test_a_token_that_runs_out(tokens: Tokens):
    """A token is gone when its life is over."""
    tokens.put(NAME, "token", lives_seconds=1)
    time.sleep(1.05)
    assert tokens.get(NAME) is None


def test_another_ring_or_place(store: Store, tokens: Tokens):
    """A token that was sealed with a key we no longer have, or for another name, is none."""
    tokens.put(NAME, "token", lives_seconds=60)
    assert Tokens(store, KeyRing([b"x" * 32])).get(NAME) is None
    store.command("COPY", f"ik:token:{NAME}", "ik:token:other")
    assert tokens.get("other") is None


def test_only_the_refused_token_is_dropped(tokens: Tokens):
    """What another process has put in its place meanwhile stays."""
    tokens.put(NAME, "new", lives_seconds=60)
    tokens.drop(NAME, "old")
    assert tokens.get(NAME) == "new"
    tokens.drop(NAME, "new")
    assert tokens.get(NAME) is None
    tokens.drop(NAME, "new")


def test_one_lease_at_a_time(store: Store, ring: KeyRing, tokens: Tokens):
    """Of two processes one may sign in; the other cannot give the lease back for it."""
    other = Tokens(store, ring)
    assert tokens.lease(NAME, 60)
    assert not other.lease(NAME, 60)
    other.release(NAME)
    assert not other.lease(NAME, 60)
    assert other.lease("another", 60)
    tokens.release(NAME)
    assert other.lease(NAME, 60)


def test_a_lease_ends(store: Store, ring: KeyRing, tokens: Tokens):
    """The lease of a process that was killed ends by itself."""
    assert tokens.lease(NAME, 0.05)
    time.sleep(0.1)
    assert Tokens(store, ring).lease(NAME, 60)


def test_attempts_are_counted(tokens: Tokens):
    """Attempts count up to the most and one more, each name for itself."""
    counts = [tokens.attempts(NAME, per_seconds=60, at_most=3) for _ in range(5)]
    assert counts == [1, 2, 3, 4, 4]
    assert tokens.attempts("another", per_seconds=60, at_most=3) == 1


def test_the_window_slides(tokens: Tokens):
    """Attempts that were refused do not count: room is there again as soon as the oldest is old."""
    assert tokens.attempts(NAME, per_seconds=0.4, at_most=2) == 1
    time.sleep(0.25)
    assert tokens.attempts(NAME, per_seconds=0.4, at_most=2) == 2
    assert tokens.attempts(NAME, per_seconds=0.4, at_most=2) == 3
    time.sleep(0.2)
    assert tokens.attempts(NAME, per_seconds=0.4, at_most=2) == 2
    assert tokens.attempts(NAME, per_seconds=0.4, at_most=2) == 3
