"""Learned signing policies, and taking one out of force."""

from __future__ import annotations

import pytest

from innkeeper.operations.policies import NotInForce, list_policies, revoke
from tests.inn import Inn, brings_secrets, key_of
from tests.keys import policy_for

OLD, NEW = (policy_for("RS256", owner).fingerprint for owner in ("old", "new"))


@pytest.fixture
def rotated(inn: Inn) -> Inn:
    """A customer whose key has been replaced a moment ago."""
    for owner in ("old", "new"):
        inn.post(brings_secrets("acme", owner=owner))
        inn.apply()
    return inn


def told(inn: Inn) -> list[tuple[str, str]]:
    """State and fingerprint of each."""
    return [(one.state, one.fingerprint) for one in list_policies(inn.desk)]


def test_lists_the_current_and_the_previous_one(rotated: Inn) -> None:
    """The previous one until its grace period ends."""
    assert told(rotated) == [("current", NEW), ("previous", OLD)]
    current, previous = list_policies(rotated.desk)
    assert current.until is None
    assert previous.until is not None
    assert (previous.until - current.since).total_seconds() == pytest.approx(86400, abs=5)


def test_revokes_the_previous_one_by_itself(rotated: Inn) -> None:
    """At once, when apply has taken it in; the current one stays."""
    assert revoke(rotated.desk, key_of()) == OLD
    rotated.apply()
    assert told(rotated) == [("current", NEW)]
    with pytest.raises(NotInForce, match="no previous signing policy"):
        revoke(rotated.desk, key_of())


def test_revokes_the_current_one_by_name(rotated: Inn) -> None:
    """The one before it goes with it, and neither is learned again."""
    assert revoke(rotated.desk, key_of(), NEW) == NEW
    rotated.apply()
    assert told(rotated) == []
    rotated.post(brings_secrets("acme", owner="new"))
    rotated.apply()
    assert told(rotated) == []


def test_tells_what_cannot_be_revoked(rotated: Inn) -> None:
    """An unknown instance, an unknown fingerprint."""
    with pytest.raises(NotInForce, match="there is no instance"):
        revoke(rotated.desk, key_of("nobody"))
    with pytest.raises(NotInForce, match="no policy abc in force"):
        revoke(rotated.desk, key_of(), "abc")
