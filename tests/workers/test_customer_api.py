"""`context.api`: calls of the customer's account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from innkeeper.bells import BellName
from innkeeper.lifecycle.errors import Temporary
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.platforms.api_errors import Down, RateLimited, Refused
from innkeeper.store.partitions import partition_of
from innkeeper_workers import calling
from innkeeper_workers.customer_api import CustomerApi, customer_api
from tests.conftest import MakeDesk
from tests.inn import CANARY, FOLLOW_UPS, Inn, brings_secrets, config_of, key_of
from tests.levers import apps_of
from tests.platforms.apis import Api, granting_api, html, said

PATH = "/v1/requests"


@pytest.fixture
def api() -> Iterator[Api]:
    """The customer's account; signing in gives the tokens `first` and `second`."""
    with granting_api() as api:
        yield api


@pytest.fixture
def inn(make_desk: MakeDesk, tmp_path: Path, api: Api) -> Inn:
    """Acme's secrets have come."""
    inn = Inn(make_desk(config_of(tmp_path, apps=apps_of(api.url), follow_ups=FOLLOW_UPS[:1])))
    inn.post(brings_secrets("acme"))
    inn.apply()
    return inn


@pytest.fixture
def acme(inn: Inn) -> CustomerApi:
    """Acme's account."""
    found = customer_api(inn.desk, key_of())
    assert found is not None
    return found


def test_a_call_is_signed_in_and_names_the_account(acme: CustomerApi, api: Api) -> None:
    """Only with the first call, and then for all."""
    api.answers(PATH, said({"id": 1}, "201 Created", "X-Mark: a"))
    assert api.requests == []
    answer = acme.post("/requests", json={"subject": "tide"}, headers={"X-Own": "b"})
    assert (answer.status, answer.json(), answer.header("x-mark")) == (201, {"id": 1}, "a")
    for method in ("get", "patch", "put", "delete"):
        assert getattr(acme, method)("/requests?per_page=1").status == 201
    assert len(api.to("/token")) == 1
    first, *others = api.to(PATH)
    assert first.headers["authorization"] == "Bearer first"
    assert first.headers["x-xurrent-account"] == first.headers["x-4me-account"] == "acme"
    assert (first.headers["x-own"], first.document) == ("b", {"subject": "tide"})
    assert [one.method for one in others] == ["GET", "PATCH", "PUT", "DELETE"]


def test_a_refused_token_is_renewed_once(acme: CustomerApi, api: Api) -> None:
    """And then it is refused for good."""
    api.answers(PATH, said({}, "401 Unauthorized"), said([]), said({}, "401 Unauthorized"))
    assert acme.get("/requests").json() == []
    assert [one.headers["authorization"][7:] for one in api.to(PATH)] == ["first", "second"]
    with pytest.raises(Refused):
        acme.get("/requests")


def test_what_the_vendor_can_judge_is_an_answer(acme: CustomerApi, api: Api) -> None:
    """Not found, forbidden, invalid: a status like any other; limits and failures are raised."""
    for status in ("404 Not Found", "403 Forbidden", "422 Unprocessable Entity"):
        api.answers(PATH, said({"message": "no"}, status))
        assert acme.get("/requests").status == int(status[:3])
    api.answers(PATH, said({}, "429 Too Many Requests", "Retry-After: 7"))
    with pytest.raises(RateLimited) as told:
        acme.get("/requests")
    assert told.value.delay_seconds == 7
    api.answers(PATH, html("500 Internal Server Error"))
    with pytest.raises(Down):
        acme.get("/requests")


def test_it_calls_no_other_place(acme: CustomerApi, api: Api) -> None:
    """Whole links of the account's own API do; headers that are ours cannot be set."""
    api.answers(PATH, said([]))
    assert acme.get(f"{api.url}/v1/requests?cursor=2").status == 200
    for path in ("requests", "https://elsewhere.example/", "//elsewhere.example", "@elsewhere"):
        if path.startswith("//"):
            assert acme.get(path).status == 404
        else:
            with pytest.raises(ValueError, match="path"):
                acme.get(path)
    for name in ("Authorization", "x-4me-account", "Host"):
        with pytest.raises(ValueError, match="set by"):
            acme.get("/requests", headers={name: "x"})
    assert {one.headers["host"] for one in api.requests} == {api.url.removeprefix("http://")}


def test_it_shows_no_secret(acme: CustomerApi, api: Api) -> None:
    """Neither itself, nor an answer, nor an error that quotes them."""
    api.answers(PATH, said({"message": "first is wrong"}, "500 Internal Server Error"))
    with pytest.raises(Down) as told:
        acme.get("/requests")
    api.answers(PATH, said({"secret": "canary"}))
    for text in (repr(acme), str(told.value), repr(acme.get("/requests"))):
        assert "first" not in text
        assert "canary" not in text
        assert CANARY not in text


def test_there_is_none_where_there_is_no_such_thing(inn: Inn, make_desk: MakeDesk) -> None:
    """Another marketplace, an app without an API."""
    assert customer_api(inn.desk, InstanceKey("xandr", "deals", "member:1")) is None
    assert customer_api(inn.desk, InstanceKey("rebilly", "tides", "org-1")) is not None
    plain = make_desk(config_of(inn.desk.config.data))
    assert customer_api(plain, key_of()) is None


@pytest.mark.parametrize(
    ("answer", "delay_seconds"),
    [(said({}, "429 Too Many Requests", "Retry-After: 7"), 7.0), (html("503 Busy"), None)],
)
def test_uncaught_it_makes_a_follow_up_temporary(
    inn: Inn, api: Api, answer: bytes, delay_seconds: float | None
) -> None:
    """With the marketplace's own delay where it states one."""
    api.answers(PATH, answer)
    inn.states("acme")
    work = inn.desk.register.transitions(key_of())[-1].follow_ups
    assert list(work) == ["provision"]
    taken = inn.desk.outbox.take(partition_of(key_of()), BellName.PERFORM)
    assert taken is not None
    line = inn.desk.register.line(key_of())
    with pytest.raises(Temporary) as told:
        calling.call(inn.desk, "tests.workers.calls:ask", taken, line)
    assert told.value.delay_seconds == delay_seconds
