"""Xandr's service as it may answer: its envelope, its shapes, its list and its sign-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET

from innkeeper.config import XandrApi, XandrApp
from innkeeper.lifecycle.events import EventKind, Flags
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.api_errors import (
    ApiError,
    Down,
    Inconsistent,
    Invalid,
    Missing,
    RateLimited,
    Refused,
    Unsupported,
)
from innkeeper.platforms.xandr.client import Client, open_client
from innkeeper.store.tokens import Tokens
from tests.platforms.apis import NOW, Api, html, said
from tests.sites import Reply, reply

Open = Callable[[], Client]
PATH = "/app-installation"


def installation(number: Any = 9, entity: Any = 238, **more: Any) -> dict[str, Any]:
    """An installation of plugin 20 by a member."""
    document = {
        "id": number,
        "plugin_id": 20,
        "addendum": "Be kind.",
        "subscriber_entity_type": "member",
        "subscriber_entity_id": entity,
        "accepted_permissions": True,
        "installed_on": "2026-05-01 20:58:28",
        "installer_user_id": 5447,
        "permissions": None,
        "has_payment_access": False,
        "log_level_data_fee": 5500,
        "subscriber_name": "Zoe",
    } | more
    return {name: value for name, value in document.items() if value is not UNSET}


def envelope(status: str = "200 OK", **response: Any) -> bytes:
    """An answer that says OK, or what it is told to."""
    return said({"response": {"status": "OK", "dbg_info": {}} | response}, status)


def one(document: Any, **more: Any) -> bytes:
    """An answer with one installation."""
    return envelope(**{"count": 1, "id": "9", "app-installation": document} | more)


def page(documents: Any, count: Any, start: Any = None, size: Any = None) -> bytes:
    """A page of the list."""
    return envelope(
        **{
            "count": count,
            "start_element": start,
            "num_elements": size,
            "app-installations": documents,
        }
    )


def failure(error_id: str, error: str = "It failed", status: str = "200 OK", *more: str) -> bytes:
    """An error of the service's, as a rule inside HTTP 200."""
    response = {"error_id": error_id, "error": error, "error_code": None}
    return said({"response": response}, status, *more)


def token(text: str = "t1") -> bytes:
    """An answer of /auth."""
    return envelope(token=text)


@pytest.fixture
def opened(api: Api, outgoing: Outgoing, tokens: Tokens) -> Open:
    """Opens the client of plugin 20, where signing in gives `t1`, `t2` and then always `t3`."""
    api.answers("/auth", token("t1"), token("t2"), token("t3"))
    app = XandrApp(
        name="segments",
        reference="20",
        api=XandrApi(base_url=api.url, username="user-7", password="hunter2"),
    )
    return lambda: open_client(app, outgoing, tokens, now=lambda: NOW)


def read_all(client: Client, pass_number: int = 1) -> list[list[str]]:
    """The accounts of each page."""
    pages = client.instances(pass_number=pass_number)
    return [[found.account for found in page] for page in pages]


def test_all_installations(api: Api, opened: Open):
    """The list is read to its end; other plugins are left out; each fact bears the pass."""
    other = installation(8, plugin_id=47)
    api.answers(PATH, page([other, installation()], 2, 0, 100))
    (found,) = next(opened().instances(pass_number=17))
    event = found.event
    assert (found.account, event.kind, event.type) == ("member:238", EventKind.STATED, "read")
    assert (event.object_id, event.offering, event.customer_name) == ("9", "20", "Zoe")
    assert event.order == OrderKey(OrderKind.PASS, 17)
    assert event.flags == Flags(disabled=None, suspended=None, enabled_by_customer=True, phase=None)
    assert event.stated["log_level_data_fee"] == 5500
    assert api.to(PATH)[0].query == {"start_element": "0", "num_elements": "100"}


def test_pages(api: Api, opened: Open):
    """A page starts where the one before it ended."""
    every = [installation(n, n) for n in range(1, 251)]
    api.answers(
        PATH,
        page(every[:100], 250, 0, 100),
        page(every[100:200], "250", "100", "100"),
        page(every[200:], 250, None, None),
    )
    assert [len(each) for each in read_all(opened())] == [100, 100, 50]
    assert [x.query["start_element"] for x in api.to(PATH)] == ["0", "100", "200"]


@pytest.mark.parametrize(
    "empty", [page([], 0, 0, 100), page(None, 0, 0, 100), page([], "0"), envelope(count=0)]
)
def test_no_installations(api: Api, opened: Open, empty: bytes):
    """An empty list is whole, however it is told."""
    api.answers(PATH, empty)
    assert read_all(opened()) == [[]]


def test_smaller_pages_than_asked_for(api: Api, opened: Open):
    """Where pages are cut to fewer than 100 and say so, the next one starts behind them."""
    every = [installation(n, n) for n in range(1, 6)]
    api.answers(PATH, page(every[:3], 5, 0, 3), page(every[3:], 5, 3, 3))
    assert sum(map(len, read_all(opened()))) == 5
    assert api.to(PATH)[1].query["start_element"] == "3"


HUNDRED = [installation(n, n) for n in range(1, 101)]


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([page(HUNDRED, 101), page([installation(101)], 102)], id="count grows"),
        pytest.param([page(HUNDRED, 102), page([installation(101)], 101)], id="count shrinks"),
        pytest.param([page(HUNDRED, 102), page([installation(101)], 102)], id="short last page"),
        pytest.param([page(HUNDRED[:90], 150)], id="short page"),
        pytest.param([page(HUNDRED, 101), page([installation(1)], 101)], id="repeated"),
        pytest.param([page(HUNDRED, 101), page(HUNDRED[:1], 101, 0)], id="another place"),
        pytest.param([page([], 5, 0, 0)], id="empty page"),
        pytest.param([page([installation()] * 2, 1)], id="long page"),
        pytest.param([page([installation()], None)], id="no count"),
        pytest.param([page([installation()], "one")], id="count is no number"),
        pytest.param([page([installation()], 1, 0, "all")], id="size is no number"),
        pytest.param([page("none", 1)], id="no list"),
        pytest.param([page([7], 1)], id="no objects"),
        pytest.param([page([installation(None)], 1)], id="no id"),
        pytest.param([page([installation(plugin_id="x")], 1)], id="plugin is no number"),
        pytest.param([page([installation(entity=None)], 1)], id="no entity"),
        pytest.param([page([installation(subscriber_entity_type="guest")], 1)], id="entity type"),
        pytest.param([page([installation(accepted_permissions="maybe")], 1)], id="no flag"),
        pytest.param([page([installation(accepted_permission=False)], 1)], id="contradiction"),
    ],
)
def test_a_list_that_lies(api: Api, opened: Open, pages: list[Reply]):
    """A list that contradicts itself, or cannot be read, is never taken as whole."""
    api.answers(PATH, *pages)
    with pytest.raises(Inconsistent):
        read_all(opened())


@pytest.mark.parametrize(
    ("spelling", "accepted"),
    [
        ({"accepted_permissions": False}, False),
        ({"accepted_permissions": UNSET, "accepted_permission": True}, True),
        ({"accepted_permissions": UNSET, "accepted_permission": False}, False),
        ({"accepted_permissions": True, "accepted_permission": True}, True),
        ({"accepted_permissions": None, "accepted_permission": True}, True),
        ({"accepted_permissions": "true"}, True),
        ({"accepted_permissions": "0"}, False),
        ({"accepted_permissions": 1}, True),
        ({"accepted_permissions": None}, UNSET),
        ({"accepted_permissions": UNSET}, UNSET),
    ],
)
def test_spellings(api: Api, opened: Open, spelling: dict[str, Any], accepted: Any):
    """The customer's yes is read under both names, and stated under one."""
    api.answers(PATH, page([installation(**spelling)], 1))
    (found,) = next(opened().instances())
    assert found.event.flags is not None
    assert found.event.flags.enabled_by_customer is accepted
    assert found.event.stated.get("accepted_permissions", UNSET) is accepted
    assert "accepted_permission" not in found.event.stated


def test_the_legacy_shape(api: Api, opened: Open):
    """An installation in the shape of old is one like any other; what it leaves out is unknown."""
    legacy = {"id": 868, "plugin_id": 20, "entity_type": "bidder", "entity_id": 226}
    api.answers(PATH, page([legacy | {"status": "installed"}], 1))
    (found,) = next(opened().instances())
    assert (found.account, found.event.object_id) == ("bidder:226", "868")
    assert found.event.flags is not None
    assert found.event.flags.enabled_by_customer is UNSET
    api.answers(PATH, page([legacy | {"status": "removed"}], 1))
    with pytest.raises(Inconsistent):
        read_all(opened())


def test_numbers_as_texts(api: Api, opened: Open):
    """Numbers that come as texts are the same numbers."""
    texts = installation("9", "238", plugin_id="20", log_level_data_fee="5500")
    api.answers(PATH, page([installation()], 1), page([texts], "1"))
    (first,), (second,) = next(opened().instances()), next(opened().instances())
    assert second == first


def test_one_installation(api: Api, opened: Open):
    """An installation is read by its id, alone or as a list of one."""
    api.answers(PATH, one(installation()), one([installation()]))
    for _ in range(2):
        found = opened().instance("member:238", "9")
        assert found is not None
        assert (found.event.object_id, found.event.order) == ("9", None)
    assert {request.query["id"] for request in api.to(PATH)} == {"9"}


@pytest.mark.parametrize(
    "gone",
    [
        failure("SYNTAX", "Installation 9 not found"),
        failure("INTEGRITY", "No such installation", "404 Not Found"),
        envelope(count=0),
        one(None),
        one([]),
        reply("404 Not Found"),
    ],
)
def test_an_installation_that_is_gone(api: Api, opened: Open, gone: bytes):
    """However an unknown id is answered: the list tells who is there, reinstalled or not."""
    api.answers(PATH, gone, page([installation(8), installation(10)], 2))
    found = opened().instance("member:238", "9")
    assert found is not None
    assert found.event.object_id == "10"
    api.answers(PATH, gone, page([installation(10, 7)], 1))
    assert opened().instance("member:238", "9") is None


@pytest.mark.parametrize("listed", [page([], 3), failure("SYSTEM"), html(), failure("SYNTAX")])
def test_no_removal_from_a_broken_list(api: Api, opened: Open, listed: bytes):
    """Of a list that fails or lies nothing is concluded."""
    api.answers(PATH, listed)
    with pytest.raises(ApiError):
        opened().instance("member:238")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (installation(entity=7), Inconsistent),
        (installation(plugin_id=21), Inconsistent),
        (installation(accepted_permissions="maybe"), Down),
        ("installed", Down),
    ],
)
def test_an_installation_that_is_another(
    api: Api, opened: Open, document: Any, error: type[ApiError]
):
    """What is found by an id is believed only if it is that customer's, and of the right form."""
    api.answers(PATH, one(document))
    with pytest.raises(error):
        opened().instance("member:238", "9")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure("LIMIT"), RateLimited),
        (failure("LIMIT", "Slow down", "429 Too Many Requests", "Retry-After: 7"), RateLimited),
        (said({}, "429 Too Many Requests", "Retry-After: 7"), RateLimited),
        (said({}, "503 Service Unavailable", "Retry-After: 7"), RateLimited),
        (said({}, "503 Service Unavailable", "x-ratelimit-code: READ_LIMIT"), RateLimited),
        (said({}, "503 Service Unavailable"), Down),
        (failure("SYSTEM"), Down),
        (failure("INTEGRITY"), Invalid),
        (failure("SYNTAX"), Invalid),
        (failure("UNAUTH"), Refused),
        (failure("NOAUTH_DISABLED"), Refused),
        (failure("NOAUTH_EXPIRED"), Refused),
        (said({}, "401 Unauthorized"), Refused),
        (failure("NOVELTY"), ApiError),
        (said({"response": {"error": "?"}}), Down),
        (said({"response": {"status": "error"}}), Down),
        (said({"status": "OK"}), Down),
        (said([]), Down),
        (reply(), Down),
        (html(), Down),
    ],
)
def test_errors(api: Api, opened: Open, answer: bytes, error: type[ApiError]):
    """An error inside HTTP 200 is an error; none but NOAUTH makes us sign in again."""
    api.answers(PATH, answer)
    with pytest.raises(ApiError) as caught:
        read_all(opened())
    assert type(caught.value) is error
    assert len(api.to("/auth")) == 1


def test_the_services_own_words(api: Api, opened: Open):
    """The error names its kind and the service's message."""
    api.answers(PATH, failure("UNAUTH", "Not yours"))
    with pytest.raises(Refused, match="UNAUTH: Not yours"):
        read_all(opened())


def test_the_delay(api: Api, opened: Open):
    """Retry-After is obeyed; without one there is a delay of our own."""
    api.answers(PATH, failure("LIMIT", "x", "200 OK", "Retry-After: 7"), failure("LIMIT"))
    for seconds in (7, 30):
        with pytest.raises(RateLimited) as caught:
            read_all(opened())
        assert caught.value.delay_seconds == seconds


def test_signing_in(api: Api, opened: Open):
    """A token is fetched once, sent raw, and kept for all clients."""
    api.answers(PATH, page([], 0))
    for _ in range(3):
        read_all(opened())
    assert [x.document for x in api.to("/auth")] == [
        {"auth": {"username": "user-7", "password": "hunter2"}}
    ]
    assert "authorization" not in api.to("/auth")[0].headers
    assert {x.headers["authorization"] for x in api.to(PATH)} == {"t1"}


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized"])
def test_signing_in_again(api: Api, opened: Open, status: str):
    """NOAUTH, inside HTTP 200 or 401, renews the token once."""
    no = failure("NOAUTH", "Authentication failed", status)
    api.answers(PATH, no, page([], 0), no)
    assert read_all(opened()) == [[]]
    assert [x.headers["authorization"] for x in api.to(PATH)] == ["t1", "t2"]
    with pytest.raises(Refused):
        read_all(opened())
    assert len(api.to("/auth")) == 3


def test_wrong_credentials(api: Api, opened: Open):
    """Credentials that are not accepted are tried ten times in five minutes, and not once more."""
    api.answers("/auth", failure("NOAUTH", "No match found for user-7/hunter2"))
    for _ in range(10):
        with pytest.raises(Refused) as caught:
            read_all(opened())
        assert "hunter2" not in str(caught.value)
        assert "user-7" not in str(caught.value)
    with pytest.raises(RateLimited) as limited:
        read_all(opened())
    assert limited.value.delay_seconds == 30
    assert len(api.to("/auth")) == 10
    assert api.to(PATH) == []


@pytest.mark.parametrize("answer", [envelope(), token("a b"), envelope(token=7), html(), said([])])
def test_no_token(api: Api, opened: Open, answer: bytes):
    """An answer to a sign-in without a token is of no use."""
    api.answers("/auth", answer)
    with pytest.raises(Down):
        read_all(opened())


def test_levers(api: Api, opened: Open):
    """Installations are made, changed and deleted, under the service's envelope."""
    api.answers(
        PATH,
        one(installation(18716), id=18716),
        one(installation(23, log_level_data_fee=2500), id="23"),
        envelope(count=1, id="23"),
    )
    installations = opened().installations
    fields = {"plugin_id": "20", "subscriber_entity_type": "member", "subscriber_entity_id": "238"}
    assert installations.create(fields)["id"] == 18716
    assert installations.update("23", {"addendum": "", "log_level_data_fee": "2500"})["id"] == 23
    installations.delete("23")
    made, changed, deleted = api.to(PATH)
    assert (made.method, made.document) == ("POST", {"app-installation": fields})
    assert (changed.method, changed.query) == ("PUT", {"id": "23"})
    assert (deleted.method, deleted.query, deleted.body) == ("DELETE", {"id": "23"}, b"")


def test_deleting_may_answer_nothing(api: Api, opened: Open):
    """An empty answer to DELETE is done; one that names an error is not."""
    api.answers(PATH, reply(), failure("INTEGRITY", "No such installation", "404 Not Found"))
    opened().installations.delete("23")
    with pytest.raises(Missing):
        opened().installations.delete("23")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ["plugin_id", "subscriber_entity_id"]),
        ({"plugin_id": "x", "subscriber_entity_id": -1}, ["plugin_id", "subscriber_entity_id"]),
        (
            {"plugin_id": 1, "subscriber_entity_id": 1, "subscriber_entity_type": "guest", "id": 3},
            ["subscriber_entity_type", "id"],
        ),
        (
            {"plugin_id": 1, "subscriber_entity_id": 1, "permissions": "all", "addendum": 1},
            ["permissions", "addendum"],
        ),
    ],
)
def test_a_wrong_installation(api: Api, opened: Open, fields: dict[str, Any], named: list[str]):
    """All faults are told at once, and nothing is sent."""
    with pytest.raises(Invalid) as caught:
        opened().installations.create(fields)
    assert [fault.split(":")[0] for fault in caught.value.faults] == named
    assert api.requests == []


def test_what_the_service_lacks(opened: Open):
    """There is no lever over a customer's word, and no token to act as a customer."""
    with pytest.raises(Unsupported):
        opened().change("member:238", "9", {"enabled_by_customer": True})
    with pytest.raises(Unsupported):
        opened().customer_token("member:238", {})
