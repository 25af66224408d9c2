"""Deliveries, as the receiver sees them."""

from __future__ import annotations

import base64
import time

import httpx2
import jwt

from simulator.settings import Pace, Rates
from simulator.world.truth import truth
from tests.simulator.conftest import QUICK, Start
from tests.simulator.running import Receiver, Simulator, Taken

APP, OLD_APP = "note-dispatcher", "badge-printer"


def account(simulator: Simulator, number: int = 0, platform: str = "xurrent") -> str:
    """A customer's account on that marketplace."""
    return simulator.run.world.customers[number].account_on(platform)


def created(taken: Taken) -> bool:
    """Whether it tells of a new instance."""
    return str(taken.claims["data"]["event"]).endswith("create")


def test_an_installation_is_told_in_parts(start: Start, receiver: Receiver):
    """A create and secrets-updates with different parts, signed by the provider's policy."""
    simulator = start()
    simulator.perform(APP, account(simulator), "install")
    policy = simulator.run.world.policies[APP]
    told = [
        jwt.decode(
            taken.document["jwt"],
            policy.public_pem,
            algorithms=["ES256"],
            audience=policy.audience,
            issuer=policy.issuer,
        )["data"]
        for taken in receiver.taken
    ]
    assert [data["event"] for data in told] == [
        "app_instance.create",
        *(["app_instance.secrets-update"] * 3),
    ]
    parts = [data["payload"].keys() & {"application", "policy", "secrets"} for data in told]
    assert parts == [set(), {"application"}, {"policy"}, {"secrets"}]
    assert {taken.path for taken in receiver.taken} == {f"/hooks/xurrent/{APP}"}
    assert {data["account_id"] for data in told} == {"wdc"}


def test_both_vocabularies(start: Start, receiver: Receiver):
    """The older app is told of in the words, and with the headers, of 2021."""
    simulator = start()
    simulator.perform(APP, account(simulator), "install")
    simulator.perform(OLD_APP, account(simulator), "install")
    new, old = receiver.taken[0], receiver.taken[4]
    assert new.claims["data"]["payload"]["app_offering"]["reference"] == APP
    assert old.claims["data"]["event"] == "integration_instance.create"
    assert old.claims["data"]["payload"]["integration"]["id"] == 2
    assert new.headers["user-agent"].startswith("xurrent/1.0 (")
    assert old.headers["user-agent"].startswith("4me/1.0 (")
    assert "x-xurrent-delivery" in new.headers
    assert "x-4me-delivery" in old.headers
    assert 'rel="canonical"' in new.headers["link"]


def test_customers_sign_for_themselves(start: Start, receiver: Receiver):
    """All six algorithms: an app event verifies with the key that a secrets-update brought."""
    simulator = start()
    used = set()
    for number in range(6):
        name = account(simulator, number)
        simulator.perform(APP, name, "install")
        if not simulator.run.world.xurrent.instances[APP, name].enabled_by_customer:
            simulator.perform(APP, name, "enable")
        simulator.perform(APP, name, "app_event")
        taught = [t.claims["data"]["payload"] for t in receiver.taken if "account=" not in t.path]
        policy = [said["policy"] for said in taught if "policy" in said][-1]
        taken = receiver.taken[-1]
        assert taken.path == f"/hooks/xurrent/{APP}?account={name}"
        claims = jwt.decode(
            taken.document["jwt"],
            policy["public_key"],
            algorithms=[policy["algorithm"]],
            audience=policy["audience"],
            options={"verify_aud": policy["audience"] is not None},
        )
        assert claims["data"]["event"] == "automation_rule"
        assert claims["data"]["account_id"] == name
        used.add(policy["algorithm"])
    assert used == {"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}


def test_retries_are_signed_anew(start: Start, receiver: Receiver):
    """Every retry has its own delivery id, jti and token, and names the first as its origin."""
    simulator = start()
    answers = iter([500, 404])
    receiver.answer = lambda taken: next(answers, 202) if created(taken) else 202
    simulator.perform(APP, account(simulator), "install")
    first, *retries = filter(created, receiver.taken)
    assert "x-xurrent-delivery-origin" not in first.headers
    origin = first.headers["x-xurrent-delivery"]
    assert [taken.headers["x-xurrent-delivery-origin"] for taken in retries] == [origin] * 2
    assert len({taken.headers["x-xurrent-delivery"] for taken in (first, *retries)}) == 3
    assert len({taken.claims["jti"] for taken in (first, *retries)}) == 3
    assert all(taken.claims["data"] == first.claims["data"] for taken in retries)
    counts = simulator.control("deliveries")["counts"]
    assert (counts["answered"], counts["retried"], counts["given_up"]) == (4, 2, 0)


def test_ten_retries_and_no_more(start: Start, receiver: Receiver):
    """What fails eleven times is dropped by the marketplace, and recorded as given up."""
    simulator = start()
    receiver.answer = lambda taken: 500 if created(taken) else 202
    simulator.perform(APP, account(simulator), "install")
    [record] = simulator.deliveries(outcome="given_up")
    assert len(record["attempts"]) == 11
    assert receiver.events().count("app_instance.create") == 11


def test_switched_off_after_twenty(start: Start, receiver: Receiver):
    """The 20th failure on end switches the webhook off; switched on again, it sends again."""
    simulator = start()
    receiver.answer = lambda taken: 500 if created(taken) else 202
    for number in range(3):
        simulator.perform(APP, account(simulator, number), "install")
    assert receiver.events().count("app_instance.create") == 20
    assert [one["event"] for one in simulator.control("webhooks") if one["disabled"]] == [
        "app_instance.create"
    ]
    assert len(simulator.deliveries(outcome="switched_off")) == 2
    receiver.answer = lambda _: 202
    assert simulator.send("PATCH", "/control/webhooks/1", {"disabled": False}).status_code == 200
    simulator.perform(APP, account(simulator, 3), "install")
    assert receiver.events().count("app_instance.create") == 21


def test_an_answer_that_is_late_is_none(start: Start, receiver: Receiver):
    """A 202 behind the limit counts as a failure, and the delivery comes again."""
    simulator = start(pace=Pace(answer_within=0.2, scale=0.0001, concurrency=1))

    def first_is_slow(taken: Taken) -> int:
        if len(receiver.taken) == 1:
            time.sleep(0.6)
        return 202

    receiver.answer = first_is_slow
    simulator.perform(APP, account(simulator), "install")
    [first, *_] = simulator.deliveries(event="app_instance.create")
    assert [attempt["status"] for attempt in first["attempts"]] == [None, 202]


def test_duplicates_and_drops(start: Start, receiver: Receiver):
    """A duplicate has the first one's origin; what is dropped is recorded and never sent."""
    simulator = start(rates=Rates(duplicated=1.0))
    simulator.perform(APP, account(simulator), "install")
    assert len(receiver.taken) == 8
    creates = [taken for taken in receiver.taken if created(taken)]
    assert (
        creates[1].headers["x-xurrent-delivery-origin"] == creates[0].headers["x-xurrent-delivery"]
    )
    simulator.send("PATCH", "/control/rates", {"dropped": 1.0})
    simulator.perform(APP, account(simulator, 1), "install")
    assert len(receiver.taken) == 8
    assert simulator.control("deliveries")["counts"]["dropped"] == 4


def test_disorder_is_bounded_and_seeded(start: Start, receiver: Receiver):
    """Deliveries overtake one another by a few places, in every run alike."""
    orders = []
    for disorder in (0, 4, 4):
        receiver.taken.clear()
        simulator = start(rates=Rates(disorder=disorder))
        simulator.control("act", {"n": 40, "platforms": ["xurrent"], "wait": True})
        orders.append(
            [taken.claims["data"]["payload"].get("audit_line_id") for taken in receiver.taken]
        )
    plain, shuffled, again = orders
    assert [line for line in plain if line] == sorted(line for line in plain if line)
    assert shuffled == again != plain
    assert sorted(filter(None, shuffled)) == sorted(filter(None, plain))


def test_any_hook_of_the_provider(start: Start, receiver: Receiver):
    """Where `elsewhere` says so, one app's events come through the other's webhook and policy."""
    simulator = start(rates=Rates(elsewhere=1.0))
    simulator.perform(APP, account(simulator), "install")
    assert {taken.path for taken in receiver.taken} == {f"/hooks/xurrent/{OLD_APP}"}
    header = jwt.get_unverified_header(receiver.taken[0].document["jwt"])
    assert header["alg"] == "ES384"


def test_rebilly_signs_nothing(start: Start, receiver: Receiver):
    """A basic credential, a body with a fresh token, and no id in any header."""
    simulator = start()
    merchant = account(simulator, platform="rebilly")
    simulator.perform("loyalty", merchant, "install", "disable")
    enabled, disabled = receiver.taken
    assert enabled.path == "/hooks/rebilly/loyalty"
    assert (
        enabled.headers["authorization"]
        == "Basic " + base64.b64encode(b"rebilly:simulated-hook-password").decode()
    )
    assert enabled.document["eventType"] == "application-instance-enabled"
    assert enabled.document["_embedded"]["applicationInstance"]["token"]
    assert list(disabled.document["_embedded"]) == ["application"]
    assert not [name for name in enabled.headers if "delivery" in name or "event" in name]


def test_a_small_body_says_it_in_the_path(start: Start, receiver: Receiver):
    """An owner's own template leaves only the merchant."""
    simulator = start(rates=Rates(small=1.0))
    merchant = account(simulator, platform="rebilly")
    simulator.perform("loyalty", merchant, "install")
    [taken] = receiver.taken
    assert taken.path == "/hooks/rebilly/loyalty?event=enabled"
    assert taken.document == {"organizationId": merchant}


def test_nobody_is_there(start: Start):
    """A receiver that cannot be reached is a failure like any other."""
    simulator = start(receiver="http://127.0.0.1:9", pace=QUICK)
    simulator.perform("loyalty", account(simulator, platform="rebilly"), "install")
    [record] = simulator.deliveries(outcome="given_up")
    assert {attempt["status"] for attempt in record["attempts"]} == {None}


def test_acting_by_chance(start: Start, receiver: Receiver):
    """`act` performs that many actions, tells them all, and the truth can be read."""
    simulator = start(pace=Pace(scale=0.0001))
    done = simulator.control("act", {"n": 60, "wait": True})
    assert len(done["actions"]) == 60
    assert done["deliveries"]["answered"] == len(receiver.taken) > 30
    assert simulator.control("truth") == truth(simulator.run.world)
    told = simulator.control("truth?secrets=true")
    assert told == truth(simulator.run.world, with_secrets=True)
    later = simulator.send("POST", "/control/act", {"n": 5})
    assert later.status_code == httpx2.codes.ACCEPTED
    assert simulator.control("settle", {})["pending"] == 0
