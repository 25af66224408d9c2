"""Rebilly without an API: what it says is a hint, and sets off the vendor's functions."""

from __future__ import annotations

from tests.system.marketplaces import BASIC, rebilly

T1, T2 = "2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z"


def test_each_change_is_called_for_once(shared, calls):
    """Enabled, disabled, enabled: three calls, in order, each with a key of its own."""
    instance = "rebilly/ledger/org_once"
    for body in _bodies("org_once"):
        assert shared.hook("rebilly/ledger", body, **BASIC).status == 202
    assert calls.until(instance, 3) == ["enabled", "disabled", "enabled"]
    assert len({call["key"] for call in calls.about(instance)}) == 3
    assert [call["attempt"] for call in calls.about(instance)] == [1, 1, 1]
    found = shared.get(f"/app_instances/{instance}")
    assert found["status"] == "enabled"
    assert found["suspended"] is None
    names = [one["name"] for one in shared.get(f"/app_instances/{instance}/transitions")]
    assert names == ["installed", "enabled", "disabled", "enabled"]


def test_the_same_bodies_again(shared, calls):
    """Enabled ones that come again have no effect; a disabled is applied and unconfirmed."""
    instance, bodies = "rebilly/ledger/org_again", _bodies("org_again")
    for body in bodies:
        shared.hook("rebilly/ledger", body, **BASIC)
    calls.until(instance, 3)
    again = [shared.hook("rebilly/ledger", body, **BASIC) for body in bodies]
    assert [answer.status for answer in again] == [202, 202, 202]
    shared.until_folded()
    outcomes = [shared.outcome(answer.delivery) for answer in again]
    assert outcomes[1] == "applied"
    assert {outcomes[0], outcomes[2]} <= {"stale", "unchanged"}
    assert calls.until(instance, 4) == ["enabled", "disabled", "enabled", "disabled"]
    found = shared.get(f"/app_instances/{instance}")
    assert (found["status"], found["confirmed"]) == ("disabled", False)


def test_without_the_credential_nothing_is_told(shared):
    """Without the credential: 401, and no instance."""
    body = rebilly("app_1", "org_stranger", "enabled", T1)
    answer = shared.hook("rebilly/ledger", body)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].lower().startswith("basic")
    assert shared.api("/app_instances/rebilly/ledger/org_stranger").status == 404


def _bodies(organization: str) -> list[bytes]:
    return [
        rebilly("app_1", organization, "enabled", T1),
        rebilly("app_1", organization, "disabled"),
        rebilly("app_1", organization, "enabled", T2),
    ]
