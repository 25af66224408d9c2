"""Xandr's REST API: its shapes and its traps."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.settings import XANDR_PASSWORD, XANDR_USER
from tests.simulator.conftest import Start
from tests.simulator.running import Simulator

PATH = "/xandr/app-installation"


@pytest.fixture
def simulator(start: Start) -> Simulator:
    """With more installations than a page holds."""
    running = start(customers=120)
    for customer in running.run.world.customers:
        running.run.world.perform("bid-reports", customer.account_on("xandr"), "install")
    return running


def sign_in(simulator: Simulator, password: str = XANDR_PASSWORD) -> dict[str, Any]:
    """The answer to an authentication."""
    said = {"auth": {"username": XANDR_USER, "password": password}}
    response: dict[str, Any] = simulator.send("POST", "/xandr/auth", said).json()["response"]
    return response


@pytest.fixture
def access(simulator: Simulator) -> dict[str, str]:
    """The raw token, without Bearer."""
    return {"Authorization": sign_in(simulator)["token"]}


def test_errors_come_with_200(simulator: Simulator):
    """A wrong password and a missing token are told inside the answer."""
    assert sign_in(simulator, "wrong")["error_id"] == "NOAUTH"
    answer = simulator.get(PATH)
    assert (answer.status_code, answer.json()["response"]["error_id"]) == (200, "NOAUTH")


def test_ten_sign_ins_in_five_minutes(simulator: Simulator):
    """The eleventh is refused."""
    assert {sign_in(simulator).get("error_id") for _ in range(10)} == {None}
    assert sign_in(simulator)["error_id"] == "LIMIT"


def test_pages_hold_at_most_a_hundred(simulator: Simulator, access: dict[str, str]):
    """More is cut without a word; the count is of all."""
    first = simulator.get(f"{PATH}?start_element=0&num_elements=500", **access).json()["response"]
    rest = simulator.get(f"{PATH}?start_element=100", **access).json()["response"]
    assert (first["num_elements"], first["count"], rest["start_element"]) == (100, 120, 100)
    rows = first["app-installations"] + rest["app-installations"]
    assert len({row["id"] for row in rows}) == 120


def test_both_spellings_and_both_kinds_of_ids(simulator: Simulator, access: dict[str, str]):
    """accepted_permission and accepted_permissions, integers and texts, members and bidders."""
    rows = simulator.get(PATH, **access).json()["response"]["app-installations"]
    assert {name for row in rows for name in row if name.startswith("accepted")} == {
        "accepted_permission",
        "accepted_permissions",
    }
    assert {type(row["subscriber_entity_id"]) for row in rows} == {int, str}
    assert {row["subscriber_entity_type"] for row in rows} == {"member", "bidder"}


def test_an_installation_from_hand_to_hand(simulator: Simulator, access: dict[str, str]):
    """Made from texts, changed, shown, deleted; twice is an INTEGRITY error."""
    wanted = {"plugin_id": "20", "subscriber_entity_type": "member", "subscriber_entity_id": "9"}
    said = {"app-installation": wanted}
    made = simulator.send("POST", PATH, said, **access).json()["response"]["app-installation"]
    assert made["addendum"] is None
    twice = simulator.send("POST", PATH, said, **access).json()["response"]
    assert twice["error_id"] == "INTEGRITY"
    place = f"{PATH}?id={made['id']}"
    change = {"app-installation": {"accepted_permission": True, "subscriber_name": "Ben"}}
    changed = simulator.send("PUT", place, change, **access).json()["response"]
    assert str(changed["id"]) == str(made["id"])
    assert changed["app-installation"]["subscriber_name"] == "Ben"
    assert simulator.control("truth")["xandr/bid-reports/member:9"]["status"] == "enabled"
    assert simulator.send("DELETE", place, **access).json()["response"]["status"] == "OK"
    assert simulator.get(place, **access).json()["response"]["error_id"] == "SYNTAX"
    assert simulator.control("truth")["xandr/bid-reports/member:9"]["status"] == "removed"


def test_the_shape_of_old(simulator: Simulator, access: dict[str, str]):
    """Entity and status in old words, and no paging."""
    simulator.control("trouble", {"platform": "xandr", "trouble": "legacy", "times": 1})
    response = simulator.get(PATH, **access).json()["response"]
    assert response["start_element"] is None
    assert response["app-installations"][0]["status"] == "installed"
    assert "app-installations" in simulator.get(PATH, **access).json()["response"]
