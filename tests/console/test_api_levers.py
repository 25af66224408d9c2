"""The console's levers over HTTP: PATCH, tokens, secrets and offerings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from innkeeper_console.api import create_app
from tests.conftest import MakeDesk
from tests.console.test_api_instances import DEFAULT
from tests.inn import CANARY, Inn, brings_secrets, config_of, rebilly
from tests.levers import PATH, applied_meanwhile, apps_of, shown
from tests.platforms.apis import Api, html, said
from tests.sites import site

ACME = "/app_instances/xurrent/notes/acme"
OFFERINGS = "/v1/app_offerings"
GOOD = {
    "name": "Notes",
    "policy_jwt_alg": "rs256",
    "service_instance": {"id": 83},
    "webhook_uri_template": "https://hooks.example/?account={account}",
}


@pytest.fixture
def market() -> Iterator[Api]:
    """The marketplace's API; nothing is there yet."""
    with site() as running:
        yield Api(running)


@pytest.fixture
def inn(make_desk: MakeDesk, tmp_path: Path, market: Api) -> Inn:
    """Acme has installed the app, and secrets may be read with a token of their own."""
    config = config_of(tmp_path, apps=apps_of(market.url), secrets_token="secrets-1")
    inn = Inn(make_desk(config))
    inn.states("acme")
    inn.post(brings_secrets("acme"))
    inn.apply()
    return inn


@pytest.fixture
def api(inn: Inn) -> Iterator[TestClient]:
    """Asks with a valid token."""
    headers = {"authorization": "Bearer token-1"}
    with TestClient(create_app(inn.desk), headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("path", [ACME, f"/app_instances/{quote(ACME[15:], safe='')}"])
def test_a_patch_answers_with_the_instance(
    inn: Inn, api: TestClient, market: Api, path: str
) -> None:
    """200, once the marketplace's answer is in the register."""
    market.answers(PATH, said(shown(suspended=True, suspension_comment="unpaid")))
    with applied_meanwhile(inn):
        answer = api.patch(path, json={"suspended": True, "suspension_comment": "unpaid"})
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == DEFAULT
    assert (found["status"], found["suspension_comment"]) == ("suspended", "unpaid")
    assert found == api.get(ACME).json()


def test_a_patch_in_the_former_vocabulary(inn: Inn, api: TestClient, market: Api) -> None:
    """Answered in the same words."""
    market.answers(PATH, said(shown(disabled=True)))
    with applied_meanwhile(inn):
        answer = api.patch(ACME.replace("app_", "integration_"), json={"disabled": True})
    assert (answer.status_code, answer.json()["integration"]) == (200, {"reference": "notes"})


def test_what_a_wrong_patch_gets(inn: Inn, api: TestClient, market: Api) -> None:
    """All faults at once; no lever; nobody; no object; too large."""
    wrong = api.patch(ACME, json={"suspended": 1, "colour": "red"})
    assert wrong.status_code == 422
    assert [fault.partition(":")[0] for fault in wrong.json()["faults"]] == ["suspended", "colour"]
    inn.post(rebilly())
    inn.apply()
    tides = api.patch("/app_instances/rebilly/tides/org-1", json={"disabled": True})
    assert (tides.status_code, tides.headers["content-type"]) == (409, "application/problem+json")
    assert api.patch(f"{ACME}2", json={"disabled": True}).status_code == 404
    for body in (b"", b"[]", b'{"a": 1, "a": 2'):
        assert api.patch(ACME, content=body).status_code == 400
    assert api.patch(ACME, content=b"x" * (1 << 20) + b"x").status_code == 413
    assert market.requests == []


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (html("500 Internal Server Error"), 502),
        (said({}, "401 Unauthorized"), 503),
        (said({}, "429 Too Many Requests", "Retry-After: 7"), 503),
        (said({"errors": ["a", "b"]}, "422 Unprocessable Entity"), 422),
    ],
)
def test_what_the_marketplace_says_no_to(
    inn: Inn, api: TestClient, market: Api, reply: bytes, status: int
) -> None:
    """Only where the outcome is unknown it is 502, and a confirm is wanted."""
    market.answers(PATH, reply)
    answer = api.patch(ACME, json={"disabled": True})
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("7" if b"429" in reply else None)
    inn.apply()
    assert api.get(ACME).json()["confirmed"] is (status != 502)


def test_a_token_of_the_customers(api: TestClient, market: Api) -> None:
    """Short-lived, and for nobody's cache; a customer without one is 409."""
    market.answers("/token", said({"access_token": "opaque", "expires_in": 600}))
    answer = api.post(f"{ACME}/token")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["access_token"], found["token_type"]) == ("opaque", "Bearer")
    assert found["expires_at"].endswith("Z")
    assert answer.headers["cache-control"] == "no-store"
    assert api.get(f"{ACME}/token").status_code == 405
    assert api.post(f"{ACME}2/token").status_code == 404


def test_secrets_answer_to_their_own_token_only(api: TestClient) -> None:
    """And every read is on record."""
    own = {"authorization": "Bearer secrets-1"}
    for path in (ACME, ACME.replace("app_", "integration_")):
        answer = api.get(f"{path}/secrets", headers=own)
        assert answer.status_code == 200
        assert answer.json()["secrets"]["application.client_secret"] == CANARY
        assert answer.headers["cache-control"] == "no-store"
    refused = api.get(f"{ACME}/secrets")
    assert (refused.status_code, CANARY in refused.text) == (403, False)
    for header in ("", "Bearer x", "Basic secrets-1"):
        answer = api.get(f"{ACME}/secrets", headers={"authorization": header})
        assert answer.status_code == 401
    for path in (ACME, f"{ACME}/transitions", "/deliveries"):
        assert api.get(path, headers=own).status_code == 401
    reads = api.get("/deliveries?instance=xurrent/notes/acme").json()
    assert [one["mark"] for one in reads].count("secrets_read") == 2


@pytest.mark.parametrize("end", ["%0A", "/", "%2F", "%00", "%20", ";a", "?a"])
def test_no_spelling_of_the_path_opens_secrets(api: TestClient, end: str) -> None:
    """Whatever else the router may take for the same path, an operators' token reads none."""
    answer = api.get(f"{ACME}/secrets{end}")
    assert answer.status_code in (403, 404)
    assert CANARY not in answer.text


def test_without_a_token_of_their_own_there_are_no_secrets(
    inn: Inn, make_desk: MakeDesk, tmp_path: Path
) -> None:
    """404 to whoever bears the API's token, 401 to all others."""
    desk = make_desk(config_of(tmp_path, apps=inn.desk.config.apps))
    with TestClient(create_app(desk)) as client:
        headers = {"authorization": "Bearer token-1"}
        assert client.get(f"{ACME}/secrets", headers=headers).status_code == 404
        assert client.get(f"{ACME}/secrets").status_code == 401


def test_offerings_are_listed_by_pages(api: TestClient, market: Api) -> None:
    """With the marketplace's filters and sorts; what it does not know is 400."""
    rows: list[dict[str, Any]] = [{"id": n, "name": f"n{n}", "reference": "r"} for n in range(5)]
    market.answers(OFFERINGS, said(rows))
    first = api.get("/app_offerings?per_page=3&fields=name&app=notes&sort=-id")
    assert first.json() == [{"name": f"n{n}"} for n in range(3)]
    second = api.get(first.links["next"]["url"])
    assert (second.json(), second.links) == ([{"name": "n3"}, {"name": "n4"}], {})
    assert market.requests[0].query == {"sort": "-id", "fields": "id,name", "per_page": "100"}
    assert api.get("/app_offerings").json() == rows
    for query in ("colour=red", "sort=colour", "cursor=x", "per_page=0", "app=nobody", "app=tides"):
        assert api.get(f"/app_offerings?{query}").status_code == 400


def test_an_offering_is_made_and_changed(api: TestClient, market: Api) -> None:
    """Passed on as it was sent, once nothing is wrong with it."""
    market.answers(OFFERINGS, said({"id": 3, **GOOD}, "201 Created"))
    market.answers(f"{OFFERINGS}/3", said({"id": 3, "name": "Other"}))
    made = api.post("/app_offerings", json=GOOD)
    assert (made.status_code, made.json()["id"]) == (201, 3)
    assert api.patch("/app_offerings/3?app=notes", json={"name": "Other"}).json()["id"] == 3
    assert api.get("/app_offerings/3").json()["name"] == "Other"
    assert api.get("/app_offerings/4").status_code == 404
    assert [one.method for one in market.requests][:3] == ["POST", "PATCH", "GET"]
    assert market.requests[0].document == GOOD


def test_all_faults_of_an_offering_are_told(api: TestClient, market: Api) -> None:
    """Before anything is sent."""
    wrong = {"name": "x" * 129, "policy_jwt_alg": "hs256", "colour": "red", "disabled": 1}
    answer = api.post("/app_offerings", json=wrong)
    assert answer.status_code == 422
    names = {fault.partition(":")[0] for fault in answer.json()["faults"]}
    assert names == {*wrong, "service_instance", "webhook_uri_template"}
    assert api.patch("/app_offerings/3", json={}).status_code == 422
    assert market.requests == []
