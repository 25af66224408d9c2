"""Rebilly's REST API: its shapes and its traps."""

from __future__ import annotations

import pytest

from simulator.settings import API_KEY
from tests.simulator.conftest import Start
from tests.simulator.running import Receiver, Simulator

ROOT = "/rebilly/organizations/org_vendor"
APPLICATION = f"{ROOT}/applications/app_01SIMULATED"
KEY = {"REB-APIKEY": API_KEY}


@pytest.fixture
def simulator(start: Start) -> Simulator:
    """With four merchants, the first of which has disabled it."""
    running = start()
    for number in range(4):
        merchant = running.run.world.customers[number].account_on("rebilly")
        running.perform("loyalty", merchant, *(["install"] + ["disable"] * (number == 0)))
    return running


def test_instances_are_a_bare_array(simulator: Simulator):
    """Limit and offset cut it, headers say where and of how many; beyond the reach is 422."""
    answer = simulator.get(f"{APPLICATION}/instances?limit=3&offset=2", **KEY)
    assert len(answer.json()) == 2
    assert answer.headers["pagination-total"] == "4"
    assert answer.headers["pagination-offset"] == "2"
    beyond = simulator.get(f"{APPLICATION}/instances?offset=1001", **KEY)
    assert beyond.status_code == 422
    assert beyond.json()["invalidFields"][0]["field"] == "offset"


def test_access(simulator: Simulator):
    """401 without the key, 403 in another organization; the prefix may be left out."""
    assert simulator.get(f"{APPLICATION}/instances").status_code == 401
    other = "/rebilly/organizations/org_x/applications"
    assert simulator.get(other, **KEY).status_code == 403
    assert simulator.get("/rebilly/applications", **KEY).status_code == 200
    header = {**KEY, "Organization-Id": "org_x"}
    assert simulator.get("/rebilly/applications", **header).status_code == 403


def test_every_read_brings_a_fresh_token(simulator: Simulator):
    """With it the app acts as that merchant, and as no other."""
    merchants = [one.account_on("rebilly") for one in simulator.run.world.customers[:2]]
    path = f"{APPLICATION}/instances/{merchants[1]}"
    first, second = (simulator.get(path, **KEY).json() for _ in range(2))
    assert first["token"] != second["token"]
    bearer = {"Authorization": f"Bearer {first['token']}"}
    place = "application-instances/app_01SIMULATED/configuration"
    own = simulator.get(f"/rebilly/organizations/{merchants[1]}/{place}", **bearer)
    assert own.json() == first["settings"]
    other = simulator.get(f"/rebilly/organizations/{merchants[0]}/{place}", **bearer)
    assert other.status_code == 403
    assert simulator.get(f"{APPLICATION}/instances/nobody", **KEY).status_code == 404


def test_a_disabled_instance_may_stay_or_go(simulator: Simulator, start: Start):
    """Nobody knows which: here it stays, unless the run says otherwise, and so says the truth."""
    merchant = simulator.run.world.customers[0].account_on("rebilly")
    shown = simulator.get(f"{APPLICATION}/instances/{merchant}", **KEY)
    assert shown.json()["status"] == "disabled"
    other = start(keeps_disabled=False)
    other.perform("loyalty", merchant, "install", "disable")
    assert other.get(f"{APPLICATION}/instances/{merchant}", **KEY).status_code == 404
    assert other.get(f"{APPLICATION}/instances", **KEY).json() == []
    assert other.control("truth")[f"rebilly/loyalty/{merchant}"]["status"] == "removed"


def test_an_identical_credential_is_a_redirect_with_a_body(simulator: Simulator):
    """303 whose body is the one there is, without the password."""
    path = f"{ROOT}/service-credentials/webhook"
    auth = {"type": "basic", "username": "u", "password": "p"}
    first = simulator.send("POST", path, {"host": "hooks.example", "auth": auth}, **KEY)
    again = simulator.send("POST", path, {"host": "hooks.example", "auth": auth}, **KEY)
    assert (first.status_code, again.status_code) == (201, 303)
    assert first.json() == again.json()
    assert "password" not in again.json()["auth"]
    port = simulator.send("POST", path, {"host": "hooks.example:443", "auth": auth}, **KEY)
    assert port.status_code == 422


def test_a_registered_webhook_is_served(start: Start, receiver: Receiver):
    """Without any at first: one that is registered gets both events, with its credential."""
    simulator = start(connected=False)
    auth = {"type": "basic", "username": "u", "password": "p"}
    credential = simulator.send(
        "POST", f"{ROOT}/service-credentials/webhook", {"host": "h", "auth": auth}, **KEY
    ).json()
    said = {
        "method": "POST",
        "url": f"{receiver.url}/mine",
        "credentialHash": credential["hash"],
        "status": "active",
        "eventsFilter": ["application-instance-enabled", "application-instance-disabled"],
    }
    made = simulator.send("POST", f"{ROOT}/webhooks", said, **KEY)
    assert made.status_code == 201
    merchant = simulator.run.world.customers[0].account_on("rebilly")
    simulator.perform("loyalty", merchant, "install", "disable")
    assert [taken.path for taken in receiver.taken] == ["/mine", "/mine"]
    assert receiver.taken[0].headers["authorization"] == "Basic dTpw"
    nothing = simulator.send("POST", f"{ROOT}/webhooks", {"method": "POST"}, **KEY)
    assert len(nothing.json()["invalidFields"]) == 2


def test_applications_are_registered(simulator: Simulator):
    """201 with the marketplace's id; every fault of a wrong one by its field; 409 twice."""
    said = {
        "name": "New", "logoId": "f", "authorName": "a", "tagline": "t", "description": "d",
        "permissions": ["GetCustomer"],
    }  # fmt: skip
    made = simulator.send("POST", f"{ROOT}/applications", said, **KEY)
    assert (made.status_code, made.json()["status"]) == (201, "pending-approval")
    assert simulator.send("POST", f"{ROOT}/applications", said, **KEY).status_code == 409
    wrong = simulator.send("POST", f"{ROOT}/applications", {"logoId": "x" * 51}, **KEY)
    assert (wrong.status_code, len(wrong.json()["invalidFields"])) == (422, 6)
