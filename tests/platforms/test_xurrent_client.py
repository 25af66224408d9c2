"""Xurrent's API as it may answer: both vocabularies, pages, lies, levers and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from msgspec import UNSET

from innkeeper.config import XurrentApi, XurrentApp
from innkeeper.lifecycle.events import EventKind, Flags
from innkeeper.outgoing import Answer, Outgoing
from innkeeper.platforms import calls
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
from innkeeper.platforms.xurrent.client import Client, open_client
from innkeeper.store.tokens import Tokens
from tests.platforms.apis import NOW, Api, html, said

Open = Callable[..., Client]
LIST, OLD_LIST = "/v1/app_instances", "/v1/integration_instances"
GONE = said({"message": "Not Found"}, "404 Not Found")


def instance(number: int = 1, account: str = "dc", **more: Any) -> dict[str, Any]:
    """An app instance with all that is asked for, and a field that is not to be passed on."""
    return {
        "id": number,
        "nodeID": f"node-{number}",
        "app_offering": {"reference": "notes", "id": 1},
        "customer_account": {"id": account, "name": "Data Center"},
        "customer_representative": {"id": 5, "name": "Howard"},
        "created_at": "2026-01-13T04:36:10-05:00",
        "updated_at": "2026-01-14T04:36:10-05:00",
        "disabled": False,
        "enabled_by_customer": True,
        "suspended": False,
        "suspension_comment": None,
        "custom_fields": [{"id": "region", "value": "eu"}],
        "application": {"client_secret": "canary"},
    } | more


def old(document: dict[str, Any]) -> dict[str, Any]:
    """The same in the vocabulary of 2021."""
    left = {name: value for name, value in document.items() if name != "app_offering"}
    return left | {"integration": document["app_offering"]}


def page(documents: Any, *, after: str | None = None, total: Any = None) -> bytes:
    """A page of a list; `after`: the path and query of the next one."""
    headers = [f'Link: <{after}>; rel="next", </v1/x>; rel="first"'] if after else []
    headers += [f"X-Pagination-Total-Entries: {total}"] if total is not None else []
    return said(documents, "200 OK", *headers)


@pytest.fixture
def opened(api: Api, outgoing: Outgoing, tokens: Tokens) -> Open:
    """Opens the client of app `notes`, with a personal token unless told otherwise."""

    def make(domain: str = "xurrent.com", **credentials: str) -> Client:
        app = XurrentApp(
            name="notes",
            reference="notes",
            account="wdc",
            domain=domain,
            api=XurrentApi(
                base_url=f"{api.url}/v1",
                oauth_url=f"{api.url}/token",
                **(credentials or {"token": "personal"}),
            ),
        )
        return open_client(app, outgoing, tokens, now=lambda: NOW)

    return make


def accounts(client: calls.Client) -> list[list[str]]:
    """The accounts of each page."""
    return [[found.account for found in page] for page in client.instances()]


def test_an_instance_by_its_id(api: Api, opened: Open):
    """What the marketplace shows of an instance is found, less what may be a secret."""
    api.answers(f"{LIST}/7", said(instance(7)))
    found = opened().instance("dc", "7")
    assert found is not None
    event = found.event
    assert (found.account, event.kind, event.type) == ("dc", EventKind.STATED, "read")
    assert (event.object_id, event.node_id, event.offering) == ("7", "node-7", "notes")
    assert (event.customer_name, event.order) == ("Data Center", None)
    assert event.flags == Flags(
        disabled=False, suspended=False, enabled_by_customer=True, phase=None
    )
    assert event.stated == {
        "custom_fields": [{"id": "region", "value": "eu"}],
        "suspension_comment": None,
    }
    assert event.secrets == {}


def test_headers(api: Api, opened: Open):
    """Every call carries the token and the account, under both names of its header."""
    api.answers(f"{LIST}/7", said(instance(7)))
    opened().instance("dc", "7")
    headers = api.requests[0].headers
    assert headers["authorization"] == "Bearer personal"
    assert (headers["x-xurrent-account"], headers["x-4me-account"]) == ("wdc", "wdc")


def test_flags_that_are_not_shown(api: Api, opened: Open):
    """A flag that is left out or null is not known."""
    shown = instance(7, suspended=None)
    del shown["disabled"]
    api.answers(f"{LIST}/7", said(shown))
    found = opened().instance("dc", "7")
    assert found is not None
    assert found.event.flags == Flags(
        disabled=UNSET, suspended=UNSET, enabled_by_customer=True, phase=None
    )


def test_an_instance_that_is_gone(api: Api, opened: Open):
    """404 beside a list that is there means that there is no such instance."""
    api.answers(LIST, page([instance(1)]))
    assert opened().instance("dc", "7") is None
    assert api.requests[1].query["per_page"] == "1"


@pytest.mark.parametrize("elsewhere", [html("404 Not Found"), GONE])
def test_a_wrong_address_removes_nobody(api: Api, opened: Open, elsewhere: bytes):
    """Where every path is 404, nothing is said of any instance."""
    api.answers(f"{LIST}/7", elsewhere)
    client = opened()
    with pytest.raises(Down):
        client.instance("dc", "7")
    with pytest.raises(Down):
        accounts(client)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (instance(7, account="other"), Inconsistent),
        (instance(7, app_offering={"reference": "another", "id": 2}), Inconsistent),
        (instance(7, disabled="no"), Down),
        (instance(7, customer_account={"id": "../dc"}), Down),
        ([instance(7)], Down),
        (None, Down),
    ],
)
def test_an_instance_that_is_another(api: Api, opened: Open, document: Any, error: type[ApiError]):
    """What is found by an id is believed only if it is that customer's, and of the right form."""
    api.answers(f"{LIST}/7", said(document))
    with pytest.raises(error):
        opened().instance("dc", "7")


@pytest.mark.parametrize("object_id", [None, "..", "7/../8", "x"])
def test_an_instance_by_its_account(api: Api, opened: Open, object_id: str | None):
    """Without the marketplace's id an instance is looked for in the whole list."""
    api.answers(
        LIST,
        page([instance(1, "a"), instance(2, "b")], after=f"{LIST}?cursor=x"),
        page([instance(3, "dc")]),
    )
    found = opened().instance("dc", object_id)
    assert found is not None
    assert found.event.object_id == "3"
    assert {request.path for request in api.requests} == {LIST}


def test_an_account_without_instance(api: Api, opened: Open):
    """An account that a whole list does not show has no instance; of a broken one none is said."""
    api.answers(LIST, page([instance(1, "a")], total=1))
    assert opened().instance("dc") is None
    api.answers(LIST, page([instance(1, "a")], total=2))
    with pytest.raises(Inconsistent):
        opened().instance("dc")


def test_all_instances(api: Api, opened: Open):
    """Pages are followed to the end; other offerings of the provider are left out."""
    other = instance(2, "b", app_offering={"reference": "another", "id": 2})
    api.answers(
        LIST,
        page([instance(1, "a"), other], after=f"{api.url}{LIST}?cursor=x", total=3),
        page([instance(3, "c")], total=3),
    )
    assert accounts(opened()) == [["a"], ["c"]]
    first, second = api.requests
    assert (first.query["per_page"], first.query["sort"]) == ("100", "id")
    assert {"suspended", "suspension_comment", "custom_fields", "app_offering"} <= set(
        first.query["fields"].split(",")
    )
    assert second.query == {"cursor": "x"}


def test_no_instances(api: Api, opened: Open):
    """An empty list is whole."""
    api.answers(LIST, page([], total=0))
    assert accounts(opened()) == [[]]


def test_a_list_that_grows(api: Api, opened: Open):
    """An instance made while the list is read comes last, and makes it no less whole."""
    api.answers(
        LIST,
        page([instance(1, "a"), instance(2, "b")], after=f"{LIST}?cursor=2", total=3),
        page([instance(3, "c"), instance(4, "d")], total=4),
    )
    assert accounts(opened()) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([1, 2], {"documents": [3], "total": 3}, id="fewer than before"),
        pytest.param([1, 2], {"documents": [3], "total": 5}, id="short of the count"),
        pytest.param([1, 2], {"documents": [2], "total": 4}, id="repeated"),
        pytest.param([1, 2], {"documents": [], "total": 4}, id="empty"),
        pytest.param(
            [1, 2], {"documents": [3], "after": f"{LIST}?cursor=3", "total": 4}, id="short page"
        ),
        pytest.param([1, 2], {"documents": [3], "total": "many"}, id="no number"),
        pytest.param([1, 2], {"documents": {"message": "later"}}, id="no list"),
        pytest.param([1, 2], {"documents": ["..."]}, id="no objects"),
    ],
)
def test_a_list_that_lies(api: Api, opened: Open, first: list[int], second: dict[str, Any]):
    """A list that contradicts itself is never taken as whole."""
    if isinstance(second["documents"], list):
        second["documents"] = [
            instance(each, f"c{each}") if isinstance(each, int) else each
            for each in second["documents"]
        ]
    after = f"{LIST}?cursor=2"
    api.answers(
        LIST,
        page([instance(each, f"c{each}") for each in first], after=after, total=4),
        page(**second),
    )
    with pytest.raises(Inconsistent):
        accounts(opened())


@pytest.mark.parametrize(
    ("element", "why"),
    [
        (instance(2, id=None), "id"),
        (instance(2, id=True), "id"),
        (instance(2, app_offering=None), "app_offering"),
        (instance(2, customer_account="dc"), "customer_account"),
        (instance(2, suspended=0), "suspended"),
    ],
)
def test_an_element_of_a_wrong_form(api: Api, opened: Open, element: Any, why: str):
    """One element that cannot be read makes the list no whole one."""
    api.answers(LIST, page([instance(1), element]))
    with pytest.raises(Inconsistent, match=why):
        accounts(opened())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (html(), Down),
        (html("502 Bad Gateway"), Down),
        (GONE, Inconsistent),
        (said({}, "429 Too Many Requests", "Retry-After: 9"), RateLimited),
        (said({}, "503 Service Unavailable", "Retry-After: 9"), RateLimited),
        (said({}, "503 Service Unavailable"), Down),
        (said({"message": "no"}, "401 Unauthorized"), Refused),
    ],
)
def test_a_pass_that_breaks_off(api: Api, opened: Open, answer: bytes, error: type[ApiError]):
    """A page that does not come ends the pass with an error, after those that did."""
    api.answers(LIST, page([instance(1, "a")], after=f"{LIST}?cursor=1"), answer)
    listing = opened().instances()
    assert [found.account for found in next(listing)] == ["a"]
    with pytest.raises(error):
        next(listing)


@pytest.mark.parametrize(
    "after", ["https://evil.example/v1/app_instances", "//evil.example/", "http://127.0.0.1:1/v1"]
)
def test_a_next_page_elsewhere(api: Api, opened: Open, after: str):
    """A next page on another host is not asked for, and the list not whole."""
    api.answers(LIST, page([instance(1)], after=after))
    with pytest.raises(Inconsistent, match="another host"):
        accounts(opened())
    assert len(api.requests) == 1


def test_link_headers(api: Api, opened: Open):
    """rel=next is found wherever it stands, and no other relation is followed."""
    first = said(
        [instance(1, "a")],
        "200 OK",
        f'Link: <{LIST}?first>; rel="first", <{LIST}?a=1,2>; title="x, y"; rel=next',
    )
    api.answers(LIST, first, said([instance(2, "b")], "200 OK", f'Link: <{LIST}?p>; rel="prev"'))
    assert accounts(opened()) == [["a"], ["b"]]
    assert api.requests[1].query == {"a": "1,2"}


def test_the_old_vocabulary(api: Api, opened: Open):
    """A host that knows integration instances alone is read in its own words, from then on."""
    api.answers(OLD_LIST, page([old(instance(7))]))
    api.answers(f"{OLD_LIST}/7", said(old(instance(7))))
    client = opened("4me.com")
    assert accounts(client) == [["dc"]]
    assert "integration" in api.requests[1].query["fields"].split(",")
    found = client.instance("dc", "7")
    assert found is not None
    assert found.event.offering == "notes"
    assert api.paths == [f"GET {LIST}", f"GET {OLD_LIST}", f"GET {OLD_LIST}/7"]


def test_one_in_the_old_vocabulary(api: Api, opened: Open):
    """A host's vocabulary is found out with the first instance that is asked for, too."""
    api.answers(OLD_LIST, page([old(instance(7))]))
    api.answers(f"{OLD_LIST}/7", said(old(instance(7))))
    client = opened()
    assert client.instance("dc", "7") is not None
    assert client.instance("dc", "8") is None


def test_views_and_filters(api: Api, opened: Open):
    """The predefined filters are paths, others stand in the query with their operator."""
    api.answers(f"{LIST}/disabled", page([instance(1)]))
    filters = {"updated_at": ">=2026-01-15T23:00:00Z"}
    pages = list(opened().documents("disabled", fields=("id",), filters=filters, sort="updated_at"))
    assert pages == [[instance(1)]]
    assert api.requests[0].query == {
        "updated_at": ">=2026-01-15T23:00:00Z",
        "sort": "updated_at",
        "per_page": "100",
        "fields": "id",
    }
    with pytest.raises(Invalid) as caught:
        list(opened().documents(filters={"suspended": "true"}, sort="name"))
    assert len(caught.value.faults) == 2
    with pytest.raises(Invalid):
        list(opened().documents("removed"))


def test_a_change(api: Api, opened: Open):
    """The writable fields are patched, and what the marketplace made of them is found."""
    api.answers(f"{LIST}/7", said(instance(7, suspended=True, suspension_comment="dues")))
    fields = {"suspended": True, "suspension_comment": "dues"}
    found = opened().change("dc", "7", fields)
    assert found.event.flags is not None
    assert found.event.flags.suspended is True
    assert (api.requests[0].method, api.requests[0].document) == ("PATCH", fields)


def test_a_change_by_account(api: Api, opened: Open):
    """Without an id the instance is looked up first; a customer without one is Missing."""
    api.answers(LIST, page([instance(7)]))
    api.answers(f"{LIST}/7", said(instance(7, disabled=True)))
    assert opened().change("dc", None, {"disabled": True}).account == "dc"
    with pytest.raises(Missing):
        opened().change("other", None, {"disabled": True})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ["nothing"]),
        ({"disabled": "yes", "suspended": None, "enabled_by_customer": 1},
         ["disabled", "enabled_by_customer"]),
        ({"suspension_comment": "é" * 32769}, ["suspension_comment"]),
        ({"suspension_comment": "\ud800"}, ["suspension_comment"]),
        ({"id": 1, "webhook": {"id": 1}, "colour": "red"}, ["id", "webhook", "colour"]),
        ({"customer_representative": "Howard", "custom_fields": [1]},
         ["customer_representative", "custom_fields"]),
    ],
)  # fmt: skip
def test_a_wrong_change(api: Api, opened: Open, fields: dict[str, Any], named: list[str]):
    """All faults of a change are told at once, and nothing is sent."""
    with pytest.raises(Invalid) as caught:
        opened().change("dc", "7", fields)
    assert [fault.split(":")[0].split(" ")[0] for fault in caught.value.faults] == named
    assert api.requests == []


def test_a_change_that_the_marketplace_refuses(api: Api, opened: Open):
    """The marketplace's own messages are the faults."""
    api.answers(
        f"{LIST}/7",
        said({"message": "Validation failed", "errors": ["Not now"]}, "422 Unprocessable Entity"),
    )
    with pytest.raises(Invalid) as caught:
        opened().change("dc", "7", {"disabled": True})
    assert caught.value.faults == ("Validation failed", "Not now")


CREDENTIALS = {"client_id": "id-1", "client_secret": "s&cret=1"}


def token(text: str = "access-1", **more: Any) -> bytes:
    """An answer of the token endpoint."""
    return said({"access_token": text, "token_type": "Bearer", "expires_in": 3600} | more)


def test_client_credentials(api: Api, opened: Open, tokens: Tokens):
    """Client credentials are changed into a token once, which all calls share."""
    api.answers("/token", token())
    api.answers(f"{LIST}/7", said(instance(7)))
    for _ in range(2):
        assert opened(**CREDENTIALS).instance("dc", "7") is not None
    request = api.to("/token")[0]
    assert request.method == "POST"
    assert dict(parse_qsl(request.body.decode())) == {
        "grant_type": "client_credentials",
        **CREDENTIALS,
    }
    assert "authorization" not in request.headers
    assert api.paths == ["POST /token", f"GET {LIST}/7", f"GET {LIST}/7"]
    assert api.requests[2].headers["authorization"] == "Bearer access-1"


def test_an_expired_token(api: Api, opened: Open):
    """A refused token is renewed once; a personal one cannot be."""
    refused = said({"message": "expired"}, "401 Unauthorized")
    api.answers("/token", token("access-1"), token("access-2"))
    api.answers(f"{LIST}/7", refused, said(instance(7)), refused)
    assert opened(**CREDENTIALS).instance("dc", "7") is not None
    assert len(api.to("/token")) == 2
    with pytest.raises(Refused):
        opened().instance("dc", "7")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said({"error": "invalid_client", "error_description": "s&cret=1"}, "401 No"), Refused),
        (said({"error": "invalid_client"}, "400 Bad Request"), Refused),
        (said({"error": "invalid_request"}, "400 Bad Request"), Invalid),
        (said({"token_type": "Bearer"}), Down),
        (said({"access_token": "a\r\nb"}), Down),
        (said([]), Down),
        (html(), Down),
        (said({}, "429 Too Many Requests", "Retry-After: 5"), RateLimited),
    ],
)
def test_signing_in_fails(api: Api, opened: Open, answer: bytes, error: type[ApiError]):
    """Whatever signing in answers becomes a typed error that does not tell the secret."""
    api.answers("/token", answer)
    with pytest.raises(error) as caught:
        opened(**CREDENTIALS).instance("dc", "7")
    assert "s&cret" not in str(caught.value)


def test_a_customers_token(api: Api, opened: Open):
    """The OAuth application of a secrets-update gives a token of that customer's account."""
    api.answers("/token", token("customers", expires_in=600))
    secrets = {"application.client_id": "c", "application.client_secret": "s"}
    assert opened().customer_token("dc", secrets) == ("customers", 540.0)
    assert api.requests[0].body == b"client_id=c&client_secret=s&grant_type=client_credentials"
    with pytest.raises(Unsupported):
        opened().customer_token("dc", {"application.client_id": "c"})


def test_r_service(api: Api, opened: Open):
    """R-Service is the same API under another domain: both headers, both vocabularies."""
    api.answers("/token", token())
    api.answers(LIST, page([instance(1, "rr")]))
    client = opened("r-service.tech", **CREDENTIALS)
    assert accounts(client) == [["rr"]]
    assert api.to(LIST)[0].headers["x-4me-account"] == "wdc"


def test_a_client_needs_an_api(outgoing: Outgoing, tokens: Tokens):
    """An app without [apps.api] has no client."""
    app = XurrentApp(name="n", reference="n", account="wdc", domain="xurrent.com")
    with pytest.raises(ValueError, match="no API"):
        open_client(app, outgoing, tokens, now=lambda: NOW)


def test_nothing_secret_is_shown():
    """The representation of a reply tells sizes only."""
    shown = calls.Reply(answer=Answer(status=200, headers=(), body=b"x"), document="canary")
    assert "canary" not in repr(shown)
