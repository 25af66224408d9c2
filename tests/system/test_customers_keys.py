"""Customers' own webhooks: signed with keys that a secrets-update has brought."""

from __future__ import annotations

import pytest

from tests.processes import soon
from tests.system.conftest import NOTES, PROVIDER
from tests.system.marketplaces import Account, app_event, curve_key
from tests.system.running import Inn


def customer(name: str, key: str | None = None) -> Account:
    """A customer's account with the key of that name, by default its own."""
    return Account(name=name, domain=PROVIDER.domain, algorithm="ES256", key=curve_key(key or name))


def learn(inn: Inn, account: Account) -> None:
    """Have the marketplace install the app for a customer and hand out its policy."""
    inn.hook("xurrent/notes", NOTES.create(account.name, 1))
    inn.hook("xurrent/notes", NOTES.secrets_update(account.name, 2, policy=account.policy))


def status_of(inn: Inn, account: Account, asked: str | None = None) -> int:
    """The answer to an app event of `account`, sent under the account `asked`."""
    path = f"xurrent/notes?account={asked or account.name}"
    return inn.hook(path, app_event(account)).status


@pytest.fixture(scope="module")
def two(shared):
    """Two customers whose keys are in force."""
    found = customer("first-mate"), customer("second-mate")
    for account in found:
        learn(shared, account)
    assert soon(lambda: [status_of(shared, account) for account in found] == [202, 202], 2)
    return found


def test_a_key_is_good_a_moment_later(shared):
    """The key that a secrets-update brought is accepted within two seconds."""
    fresh = customer("cabin-boy")
    assert status_of(shared, fresh) == 401
    learn(shared, fresh)
    assert soon(lambda: status_of(shared, fresh) == 202, 2)


def test_another_customers_key_is_refused(shared, two):
    """Neither another's key under one's own account nor one's own under another's: 401."""
    first, second = two
    forged = customer(first.name, second.name)
    answers = [
        shared.hook(f"xurrent/notes?account={first.name}", app_event(forged)),
        shared.hook(f"xurrent/notes?account={second.name}", app_event(first)),
        shared.hook("xurrent/notes?account=nobody", app_event(first)),
        shared.hook("xurrent/notes", app_event(first)),
    ]
    assert [answer.status for answer in answers] == [401, 401, 401, 401]
    assert len({answer.body for answer in answers}) == 1


def test_a_customers_key_says_nothing_of_instances(shared, two):
    """A lifecycle event signed with a customer's key: 401, and nothing is learned from it."""
    first, second = two
    thief = customer(second.name, "thief")
    before = shared.get("/app_instances/xurrent/notes/second-mate")
    policies = shared.told("policies")
    for name, event, more in (
        (first.name, "update", {"suspended": True}),
        (second.name, "delete", {}),
        (second.name, "secrets-update", {"policy": thief.policy}),
        (first.name, "secrets-update", {"policy": thief.policy}),
        ("stowaway", "create", {}),
    ):
        payload = NOTES.payload(name, 900, more)
        body = first.signed(NOTES.event(event), payload)
        for path in ("xurrent/notes", f"xurrent/notes?account={first.name}"):
            assert shared.hook(path, body).status == 401
    assert shared.get("/app_instances/xurrent/notes/second-mate") == before
    assert shared.get("/app_instances/xurrent/notes/first-mate")["status"] == "enabled"
    assert shared.api("/app_instances/xurrent/notes/stowaway").status == 404
    assert shared.told("policies") == policies
    assert status_of(shared, thief) == 401
    reasons = {one["reason"] for one in shared.get("/rejected?app=notes&per_page=10")}
    assert "not_entitled" in reasons


def test_a_key_is_good_after_a_restart(shared, two):
    """What was learned is in force when everything has been started anew, and so is a claim."""
    body = app_event(two[0])
    first = shared.hook(f"xurrent/notes?account={two[0].name}", body)
    assert first.status == 202
    assert shared.stop() == 0
    shared.start()
    again = shared.hook(f"xurrent/notes?account={two[0].name}", body)
    assert (again.status, again.delivery) == (200, first.delivery)
    assert status_of(shared, two[0]) == 202
    assert status_of(shared, two[1], two[0].name) == 401


def test_a_revoked_key_is_refused(shared):
    """`policies` lists a key with its instance; revoked, it is refused within moments, for good."""
    rogue = customer("rogue")
    learn(shared, rogue)
    assert soon(lambda: status_of(shared, rogue) == 202, 2)
    listed = {one["instance"]: one for one in shared.told("policies")}
    policy = listed["xurrent/notes/rogue"]
    assert (policy["state"], policy["algorithm"]) == ("current", "ES256")
    shared.told("policies", "revoke", policy["instance"], policy["fingerprint"])
    assert soon(lambda: status_of(shared, rogue) == 401, 3)
    shared.hook("xurrent/notes", NOTES.secrets_update("rogue", 3, policy=rogue.policy))
    shared.until_folded()
    assert "rogue" not in str(shared.told("policies"))
    assert status_of(shared, rogue) == 401
    assert shared.cli("policies", "revoke", policy["instance"], policy["fingerprint"]).code == 1
