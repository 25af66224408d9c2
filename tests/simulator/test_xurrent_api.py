"""Xurrent's REST API: its shapes and its traps."""

from __future__ import annotations

import re

import pytest

from simulator.settings import Pace
from tests.simulator.conftest import Start
from tests.simulator.running import Receiver, Simulator

INSTANCES = "/xurrent/v1/app_instances"


@pytest.fixture
def simulator(start: Start) -> Simulator:
    """After a while."""
    running = start(customers=40, pace=Pace(scale=0.0001))
    running.control("act", {"n": 160, "platforms": ["xurrent"], "wait": True})
    return running


def present(simulator: Simulator) -> set[int]:
    """The ids of the instances that are there."""
    every = simulator.run.world.xurrent.instances.values()
    return {found.id for found in every if found.present}


def test_a_token_and_an_account_are_needed(simulator: Simulator):
    """401 without a token, 403 for another account, 401 again once the token has expired."""
    headers = simulator.xurrent()
    assert simulator.get(INSTANCES).status_code == 401
    wrong = {**headers, "X-Xurrent-Account": "acme"}
    assert simulator.get(INSTANCES, **wrong).status_code == 403
    assert simulator.get(INSTANCES, **headers).status_code == 200
    simulator.send("DELETE", "/control/tokens?platform=xurrent")
    assert simulator.get(INSTANCES, **headers).status_code == 401


def test_paging_ends_with_everything(simulator: Simulator):
    """Links with rel=next lead through all instances, each once; per_page is at most 100."""
    headers, url, seen = simulator.xurrent(), f"{INSTANCES}?per_page=7", []
    while url:
        answer = simulator.get(url, **headers)
        seen += [row["id"] for row in answer.json()]
        found = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        url = found[1] if found else ""
    assert len(seen) == len(set(seen)) > 20
    assert set(seen) == present(simulator)
    assert seen != sorted(seen)
    assert answer.headers["x-pagination-total-entries"] == str(len(seen))
    many = simulator.get(f"{INSTANCES}?per_page=1000", **headers)
    assert many.headers["x-pagination-per-page"] == "100"


def test_fields_filters_and_sort(simulator: Simulator):
    """The operator is in the value; `suspended` has to be asked for; what is unknown is 400."""
    headers = simulator.xurrent()
    [plain, *_] = simulator.get(INSTANCES, **headers).json()
    assert plain.keys() == {
        "created_at", "id", "nodeID", "updated_at", "disabled", "customer_account",
        "app_offering", "enabled_by_customer",
    }  # fmt: skip
    rows = simulator.get(f"{INSTANCES}?sort=-id&fields=id,suspended,updated_at", **headers).json()
    ids = [row["id"] for row in rows]
    assert ids == sorted(ids, reverse=True)
    assert rows[0].keys() == {"id", "suspended", "updated_at"}
    few = simulator.get(f"{INSTANCES}?id={ids[0]},{ids[1]}&disabled=!false", **headers).json()
    assert all(row["disabled"] for row in few)
    last = max(found.updated_at for found in simulator.run.world.xurrent.instances.values())
    late = f"{INSTANCES}?updated_at=>={last.isoformat().replace('+00:00', 'Z')}"
    assert len(simulator.get(late, **headers).json()) <= 1
    for wrong in ("suspended=true", "sort=name", "fields=nonsense", "updated_at=>yesterday"):
        assert simulator.get(f"{INSTANCES}?{wrong}", **headers).status_code == 400


def test_predefined_filters_and_old_words(simulator: Simulator):
    """`/enabled` and `/disabled` part the list; integration instances are the same ones."""
    headers = simulator.xurrent()
    parts = [
        {row["id"] for row in simulator.get(f"{INSTANCES}/{part}?per_page=100", **headers).json()}
        for part in ("enabled", "disabled")
    ]
    assert parts[0].isdisjoint(parts[1])
    assert parts[0] | parts[1] == present(simulator)
    old = simulator.get("/xurrent/v1/integration_instances?per_page=100", **headers).json()
    assert {row["id"] for row in old} == present(simulator)
    assert {"integration"} <= old[0].keys()
    simulator.control("trouble", {"platform": "xurrent", "trouble": "old_words"})
    assert simulator.get(INSTANCES, **headers).status_code == 404


def test_a_patch_is_told_as_an_update(simulator: Simulator, receiver: Receiver):
    """The change is in the answer, in the truth, and in a delivery; faults come all at once."""
    headers = simulator.xurrent()
    [row, *_] = simulator.get(f"{INSTANCES}?fields=customer_account,app_offering", **headers).json()
    receiver.taken.clear()
    said = {"suspended": True, "suspension_comment": "Why not"}
    answer = simulator.send("PATCH", f"{INSTANCES}/{row['id']}", said, **headers)
    assert (answer.status_code, answer.json()["suspended"]) == (200, True)
    simulator.control("settle", {})
    assert receiver.taken[0].claims["data"]["payload"]["suspended"] is True
    wrong = {"disabled": "yes", "reference": "x"}
    answer = simulator.send("PATCH", f"{INSTANCES}/{row['id']}", wrong, **headers)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 2)
    assert simulator.get(f"{INSTANCES}/999999", **headers).status_code == 404


def test_offerings(simulator: Simulator):
    """Listed by name, made and changed; every fault of a wrong one is told."""
    headers, path = simulator.xurrent(), "/xurrent/v1/app_offerings"
    names = [row["name"] for row in simulator.get(path, **headers).json()]
    assert names == sorted(names)
    assert len(names) == 2
    said = {
        "name": "A New App",
        "policy_jwt_alg": "es512",
        "service_instance": {"id": 83},
        "webhook_uri_template": "https://hooks.example/?account={account}",
    }
    made = simulator.send("POST", path, said, **headers)
    assert (made.status_code, made.json()["reference"]) == (201, "wdc_a_new_app")
    wrong = {"name": "x" * 129, "policy_jwt_alg": "hs256", "webhook_uri_template": "y" * 256}
    answer = simulator.send("POST", path, wrong, **headers)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 4)
    one = f"{path}/{made.json()['id']}"
    assert simulator.send("PATCH", one, {"disabled": True}, **headers).json()["disabled"] is True


def test_a_webhook_is_registered(simulator: Simulator, receiver: Receiver):
    """The key is shown once; a handshake is sent, and only the test delivery before an answer."""
    headers = simulator.xurrent()
    path, policies = "/xurrent/v1/webhooks", "/xurrent/v1/webhook_policies"
    policy = simulator.send("POST", policies, {"jwt_alg": "es256"}, **headers).json()
    assert policy["public_key"].startswith("-----BEGIN PUBLIC KEY")
    assert "public_key" not in simulator.get(f"{policies}/{policy['id']}", **headers).json()
    receiver.taken.clear()
    said = {
        "event": "app_instance.create",
        "uri": f"{receiver.url}/new",
        "webhook_policy": {"id": policy["id"]},
    }
    made = simulator.send("POST", path, said, **headers).json()
    simulator.control("settle", {})
    [taken] = receiver.taken
    assert (taken.path, made["verified"]) == ("/new", False)
    assert taken.claims["data"]["event"] == "webhook.verify"
    callback = taken.claims["data"]["payload"]["callback"]
    assert callback.startswith(f"https://wdc.xurrent.example/webhooks/{made['id']}/verify?code=")
    assert simulator.send("POST", f"{path}/{made['id']}/test", **headers).status_code == 204
    simulator.control("settle", {})
    assert len(receiver.taken) == 1
    assert simulator.send("DELETE", f"{path}/{made['id']}", **headers).status_code == 204


def test_a_test_delivery(simulator: Simulator, receiver: Receiver):
    """An active webhook's test is about the object 12345."""
    receiver.taken.clear()
    answer = simulator.send("POST", "/xurrent/v1/webhooks/1/test", **simulator.xurrent())
    assert answer.status_code == 204
    simulator.control("settle", {})
    assert receiver.taken[0].claims["data"]["object_id"] == 12345


def test_customers_sign_in_with_their_own_application(simulator: Simulator):
    """The OAuth application of a secrets-update gives a token for that customer's account."""
    found = next(one for one in simulator.run.world.xurrent.instances.values() if one.present)
    said = {
        "client_id": found.secrets["application.client_id"],
        "client_secret": found.secrets["application.client_secret"],
        "grant_type": "client_credentials",
    }
    answer = simulator.send("POST", "/xurrent/token", said)
    assert answer.json()["expires_in"] == 3600
    account = found.customer.account
    headers = {
        "Authorization": f"Bearer {answer.json()['access_token']}",
        "X-Xurrent-Account": account,
    }
    assert simulator.get("/xurrent/v1/me", **headers).json()["account"] == {"id": account}
    assert simulator.get(INSTANCES, **headers).status_code == 403
    wrong = said | {"client_secret": "guess"}
    assert simulator.send("POST", "/xurrent/token", wrong).status_code == 401
