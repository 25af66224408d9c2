"""Deliveries, refused ones and dead letters over HTTP."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.inn import CANARY, Inn, brings_secrets, rebilly, signed, states


def test_deliveries_newest_first(inn: Inn, api: TestClient) -> None:
    """Over all partitions, in pages that are linked; filters by what is readable."""
    posted = [inn.post(states(f"a{n}")) for n in range(30)]
    inn.post(states("acme", reference="nobodys"))
    inn.apply()
    found: list[str] = []
    path = "/deliveries?per_page=7&outcome=applied"
    while path:
        answer = api.get(path)
        found += [one["id"] for one in answer.json()]
        path = answer.links.get("next", {}).get("url", "")
    assert found == posted[::-1]
    (unrouted,) = api.get("/deliveries?mark=unrouted").json()
    assert (unrouted["instance"], unrouted["outcome"]) == (None, "unrouted")
    (one,) = api.get("/deliveries?instance=xurrent/notes/a3").json()
    assert (one["id"], one["size"] > 100, one["order"][:6]) == (posted[3], True, "audit:")
    assert api.get("/deliveries?platform=rebilly").json() == []
    for wrong in ("sort=id", "outcome=fine", "colour=red", "instance=a", "fields=id", "cursor=x"):
        assert api.get(f"/deliveries?{wrong}").status_code == 400


def test_one_delivery_names_its_secrets(inn: Inn, api: TestClient) -> None:
    """What it said, less the secrets' values."""
    delivery = inn.post(brings_secrets("acme", owner="acme"))
    assert api.get(f"/deliveries/{delivery}").json()["outcome"] == "waiting"
    inn.apply()
    answer = api.get(f"/deliveries/{delivery}")
    event = answer.json()["event"]
    assert event["type"] == "app_instance.secrets-update"
    assert event["secrets"] == ["application.client_id", "application.client_secret"]
    assert len(event["signing_policy"]) == 32
    assert CANARY not in answer.text
    for unknown in ("9-0", "nonsense", "99-00000000-0000-7000-8000-000000000000"):
        assert api.get(f"/deliveries/{unknown}").status_code == 404


def test_a_replay_of_what_was_applied_changes_nothing(inn: Inn, api: TestClient) -> None:
    """202 each time; the register stays as it is."""
    delivery = inn.states("acme")
    before = api.get("/app_instances").json()
    for _ in range(2):
        answer = api.post(f"/deliveries/{delivery}/replay")
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
        assert answer.json()["replays"] == delivery
        inn.apply()
        (newest, *_) = api.get("/deliveries").json()
        assert newest["id"] == answer.json()["delivery"]
        assert (newest["source"], newest["outcome"]) == ("replay", "unchanged")
    assert api.get("/app_instances").json() == before
    assert api.post("/deliveries/9-0/replay").status_code == 404
    assert api.post(f"/deliveries/{delivery}/replay?follow_ups=maybe").status_code == 400


def test_rejected_are_listed_without_bodies(inn: Inn, api: TestClient) -> None:
    """Why, when and for which app; filtered by reason."""
    inn.refuse(rebilly(password="wrong"))
    inn.refuse(signed({"event": "app_instance.update"}, owner="stranger"))
    signature, credential = api.get("/rejected").json()
    assert (signature["reason"], signature["app"]) == ("bad_signature", "notes")
    assert (credential["reason"], credential["platform"]) == ("bad_credential", "rebilly")
    assert [one["id"] for one in api.get("/rejected?reason=bad_credential").json()] == [
        credential["id"]
    ]
    first = api.get("/rejected?per_page=1")
    (second,) = api.get(first.links["next"]["url"]).json()
    assert second == credential
    assert api.get("/rejected?reason=mood").status_code == 400


def test_dead_letters_are_listed_and_requeued(inn: Inn, api: TestClient) -> None:
    """A requeued follow-up is done again; an undecodable delivery dies again, under a new id."""
    inn.states("acme", suspended=True)
    inn.perform()
    dead = inn.post(signed({"event": "app_instance.update", "payload": "nonsense"}))
    inn.apply()
    entry, work = api.get("/dead_letters").json()
    assert (entry["subject"], entry["id"]) == ("entry", dead)
    assert "cannot be understood" in entry["error"]
    assert (work["subject"], work["name"], work["attempts"]) == ("work", "fail", 1)
    assert "Traceback" in work["detail"]
    first = api.get("/dead_letters?per_page=1")
    assert api.get(first.links["next"]["url"]).json() == [work]

    answer = api.post(f"/dead_letters/{work['id']}/requeue")
    assert (answer.status_code, answer.json()["delivery"]) == (202, None)
    answer = api.post(f"/dead_letters/{dead}/requeue")
    assert answer.json()["status"] == "requeued"
    assert api.get("/dead_letters").json() == []
    inn.apply()
    inn.perform()
    again = {one["subject"]: one for one in api.get("/dead_letters").json()}
    assert again["entry"]["id"] == answer.json()["delivery"]
    assert again["work"]["attempts"] == 1
    assert api.post(f"/dead_letters/{dead}/requeue").status_code == 404
    assert api.post("/dead_letters/nonsense/requeue").status_code == 404
    assert api.get("/dead_letters?colour=red").status_code == 400
