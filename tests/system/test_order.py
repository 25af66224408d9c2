"""Deliveries come in any order, and twice."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.system.conftest import NOTES

EVENTS = ("create", "update", "secrets")
ORDERS = list(permutations(EVENTS))
SECRETS = {"application": {"client_id": "id-of-quay", "client_secret": "secret-of-quay"}}
_OF_ITS_OWN = ("id", "customer_account", "created_at", "updated_at", "version")


@pytest.fixture(scope="module")
def documents(shared):
    """What the register says of a customer for each order of the three deliveries."""
    names = {order: f"order-{number}" for number, order in enumerate(ORDERS)}
    for order, customer in names.items():
        bodies = {
            "create": NOTES.create(customer, 100),
            "secrets": NOTES.secrets_update(customer, 101, **SECRETS),
            "update": NOTES.update(customer, 102, suspended=True, suspension_comment="unpaid"),
        }
        for event in order:
            assert shared.hook("xurrent/notes", bodies[event]).status == 202
    shared.until_folded()
    return {
        order: shared.told("instances", "show", f"xurrent/notes/{customer}")
        for order, customer in names.items()
    }


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_secrets_are_there(documents, order):
    """Whatever the order, the secrets are held and in force."""
    held = {one["name"]: one["in_force"] for one in documents[order]["secrets"]}
    assert held == {"application.client_id": True, "application.client_secret": True}


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_same_instance_comes_of_it(documents, order):
    """Whatever the order, the instance is the same, and in the state that was stated last."""
    expected = _common(documents[ORDERS[0]])
    assert expected["status"] == "suspended"
    assert expected["suspension_comment"] == "unpaid"
    assert expected["confirmed"] is True
    assert _common(documents[order]) == expected


def test_what_comes_twice_counts_once(shared):
    """The same delivery again is answered 200 with the id of the first."""
    body = NOTES.create("twice", 100)
    first, second = (shared.hook("xurrent/notes", body) for _ in range(2))
    assert (first.status, first.document["status"]) == (202, "accepted")
    assert (second.status, second.document["status"]) == (200, "duplicate")
    assert second.delivery == first.delivery


def _common(document: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in document.items() if name not in _OF_ITS_OWN}
    said["facts"] = {name: v for name, v in said["facts"].items() if name != "customer_account_id"}
    said["secrets"] = sorted(one["name"] for one in said["secrets"])
    return said
