"""What was refused or captured is taken in later: retried, exported, replayed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.system.conftest import OpenInn
from tests.system.marketplaces import (
    BASIC,
    REBILLY_PASSWORD,
    Account,
    Offering,
    app_event,
    curve_key,
    rebilly,
    rebilly_app,
    rsa_key,
    xurrent_app,
)
from tests.system.running import Inn

PROVIDER = Account(
    name="quay",
    domain="xurrent.invalid",
    key=rsa_key("quay"),
    audience="integrations provided by quay",
)
MISTAKEN = dataclasses.replace(PROVIDER, audience="integrations provided by somebody else")
CUSTOMER = Account(
    name="mate", domain="xurrent.invalid", algorithm="ES256", key=curve_key("moving")
)
NOTES = Offering(provider=PROVIDER, reference="notes")
REFUSED = NOTES.create("late", 1)


def configuration(provider: Account) -> str:
    """An app on each marketplace."""
    return xurrent_app(provider, "notes") + rebilly_app("ledger", "app_1")


@pytest.fixture(scope="module")
def inn(open_inn: OpenInn) -> Inn:
    """An inn whose operator has the audience wrong; one delivery was refused for it."""
    inn = open_inn(configuration(MISTAKEN), HOOK_PASSWORD=REBILLY_PASSWORD)
    inn.start()
    assert inn.hook("xurrent/notes", REFUSED).status == 401
    return inn


@pytest.fixture(scope="module")
def corrected(inn: Inn) -> Inn:
    """The same after a restart with the audience put right."""
    (rejected,) = inn.told("rejected")
    assert (rejected["reason"], rejected["app"]) == ("wrong_audience", "notes")
    assert inn.cli("rejected", "retry", rejected["id"]).code == 1
    assert inn.stop() == 0
    inn.configure(configuration(PROVIDER))
    inn.start()
    return inn


@pytest.fixture(scope="module")
def busy(corrected: Inn) -> Inn:
    """The same with some history on both marketplaces."""
    inn = corrected
    for body in (
        NOTES.create("mate", 10),
        NOTES.secrets_update("mate", 11, policy=CUSTOMER.policy, secrets={"pin": "1234-5678"}),
        NOTES.update("mate", 12, suspended=True, suspension_comment="unpaid"),
        NOTES.create("gone", 20),
        NOTES.about("gone", "delete", 21, {}),
        NOTES.provider.signed("app_instance.create", NOTES.payload("x", 1, {}), object_id=12345),
        PROVIDER.signed("something.new", {"what": "ever"}),
    ):
        assert inn.hook("xurrent/notes", body).status == 202
    inn.until_folded()
    assert inn.hook("xurrent/notes?account=mate", app_event(CUSTOMER)).status == 202
    for body in (
        rebilly("app_1", "org_1", "enabled", "2026-03-01T10:00:00Z"),
        rebilly("app_1", "org_1", "disabled"),
        rebilly("app_1", "org_2", "enabled", "2026-03-01T10:00:00Z"),
    ):
        assert inn.hook("rebilly/ledger", body, **BASIC).status == 202
    inn.until_folded()
    return inn


def test_what_was_refused_by_mistake_is_let_in(corrected):
    """Once the configuration is right, `rejected retry` takes in what was refused."""
    (retried,) = corrected.told("rejected", "retry", "--reason", "wrong_audience")
    assert retried["status"] == "accepted"
    corrected.until_folded()
    assert corrected.outcome(retried["delivery"]) == "applied"
    assert corrected.get("/app_instances/xurrent/notes/late")["status"] == "enabled"
    assert corrected.get("/rejected") == []
    again = corrected.hook("xurrent/notes", REFUSED)
    assert (again.status, again.delivery) == (200, retried["delivery"])


@pytest.fixture(scope="module")
def lines(busy: Inn) -> list[dict[str, Any]]:
    """What the busy inn exports; the file is `captured.jsonl` in its folder."""
    file = busy.folder / "captured.jsonl"
    assert busy.cli("deliveries", "export", "--with-secrets", "--output", file).code == 0
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def other(busy: Inn, lines: list[dict[str, Any]], open_inn: OpenInn) -> Inn:
    """Another inn of the same configuration, into which the export was replayed."""
    inn = open_inn(configuration(PROVIDER), HOOK_PASSWORD=REBILLY_PASSWORD)
    inn.start()
    replayed = inn.cli("replay", busy.folder / "captured.jsonl", "--json").document
    assert (replayed["failed"], replayed["duplicate"]) == (0, 0)
    inn.until_folded()
    # The customer's key comes in the same file and may not have been in force a moment later.
    retried = inn.told("rejected", "retry", "--reason", "unknown_account")
    assert replayed["accepted"] + len(retried) == len(lines)
    inn.until_folded()
    return inn


def test_an_export_replayed_gives_the_same_register(busy, other):
    """What one inn exports and another replays gives the same register there."""
    assert [one["id"] for one in _register(busy)] == [
        "rebilly/ledger/org_1", "rebilly/ledger/org_2",
        "xurrent/notes/gone", "xurrent/notes/late", "xurrent/notes/mate",
    ]  # fmt: skip
    assert _register(other) == _register(busy)
    held = [_secrets(inn) for inn in (busy, other)]
    assert held[0] == held[1] == ["secrets.pin"]


def test_replayed_again_they_are_duplicates(busy, lines, other):
    """The same file again: all that can be told apart is a duplicate, and no register moves."""
    before = _register(other)
    again = other.told("replay", busy.folder / "captured.jsonl")
    signed = sum(line["platform"] == "xurrent" for line in lines)
    # Nothing tells two of Rebilly's apart.
    assert (again["duplicate"], again["accepted"]) == (signed, len(lines) - signed)
    other.until_folded()
    assert _register(other) == before


def test_into_the_log_a_file_counts_once(busy, lines, other):
    """Appended without a check, a file is taken once; and what is known moves nothing."""
    file, before = busy.folder / "captured.jsonl", _register(busy)
    assert busy.told("replay", "--into-log", file)["accepted"] == len(lines)
    assert busy.told("replay", "--into-log", file)["duplicate"] == len(lines)
    busy.until_folded()
    assert _register(busy) == before


def _secrets(inn: Inn) -> list[str]:
    return [one["name"] for one in inn.told("instances", "show", "xurrent/notes/mate")["secrets"]]


def _register(inn: Inn) -> list[dict[str, Any]]:
    own = ("created_at", "updated_at")
    found = inn.get("/app_instances?per_page=100&fields=" + ",".join(_FIELDS))
    return [{name: v for name, v in one.items() if name not in own} for one in found]


_FIELDS = (
    "id", "platform", "app_offering", "customer_account", "status", "disabled", "suspended",
    "enabled_by_customer", "suspension_comment", "confirmed", "version", "marketplace_id", "facts",
)  # fmt: skip
