"""Rebilly's API as it may answer: instances, their reach, tokens, configuration and connecting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET

from innkeeper.config import NoCredential, RebillyApi, RebillyApp
from innkeeper.lifecycle.events import EventKind, Flags, Phase
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
from innkeeper.platforms.rebilly.client import Client, open_client
from innkeeper.store.tokens import Tokens
from tests.platforms.apis import NOW, Api, html, said
from tests.sites import Reply, reply

Open = Callable[..., Client]
OWNER = "/organizations/org_1"
LIST = f"{OWNER}/applications/app_1/instances"
ONE = f"{LIST}/merchant-1"
GONE = said({"title": "Not found", "status": 404}, "404 Not Found")


def instance(account: str | None = "merchant-1", status: Any = "enabled", **more: Any) -> Any:
    """An application instance as the owner sees it."""
    document = {
        "status": status,
        "isConfigured": True,
        "settings": {"limit": "5", "region": 7},
        "createdTime": "2026-01-01T00:00:00Z",
        "updatedTime": "2026-02-03T04:05:06.789Z",
        "organizationId": account,
        "token": "canary-token",
        "_links": [],
    } | more
    return {name: value for name, value in document.items() if value is not None}


def page(documents: Any, total: Any) -> bytes:
    """A page of a list."""
    headers = [] if total is None else [f"Pagination-Total: {total}"]
    return said(documents, "200 OK", *headers)


@pytest.fixture
def opened(api: Api, outgoing: Outgoing, tokens: Tokens) -> Open:
    """Opens the client of application `app_1` under a base URL."""

    def make(base: str = OWNER) -> Client:
        app = RebillyApp(
            name="billing",
            reference="app_1",
            credential=NoCredential(),
            api=RebillyApi(base_url=api.url + base, api_key="key-1"),
        )
        return open_client(app, outgoing, tokens, now=lambda: NOW)

    return make


def test_an_instance(api: Api, opened: Open):
    """What is shown of an instance is found, with its time of change; its token is not."""
    api.answers(ONE, said(instance()))
    found = opened().instance("merchant-1")
    assert found is not None
    event = found.event
    assert (found.account, event.kind, event.type) == ("merchant-1", EventKind.STATED, "read")
    assert event.offering == "app_1"
    assert event.order == OrderKey(OrderKind.UPDATED, 1_770_091_506_789_000)
    assert event.secrets == {"settings.limit": "5", "settings.region": 7}
    assert event.stated["status"] == "enabled"
    assert "canary" not in str(event.stated)
    assert api.requests[0].headers["reb-apikey"] == "key-1"


@pytest.mark.parametrize(
    ("status", "disabled", "phase"),
    [
        ("enabling", False, Phase.ENABLING),
        ("enabled", False, None),
        ("disabling", False, Phase.DISABLING),
        ("disabled", True, None),
        ("resting", UNSET, UNSET),
        (None, UNSET, UNSET),
    ],
)
def test_statuses(api: Api, opened: Open, status: str | None, disabled: Any, phase: Any):
    """Each status becomes flags; one that nobody knows, or none, says nothing."""
    api.answers(ONE, said(instance(status=status)))
    found = opened().instance("merchant-1")
    assert found is not None
    assert found.event.flags == Flags(
        disabled=disabled, suspended=None, enabled_by_customer=None, phase=phase
    )


@pytest.mark.parametrize("updated", [None, "yesterday", 7])
def test_no_time_of_change(api: Api, opened: Open, updated: Any):
    """Without a readable time nothing tells the order."""
    api.answers(ONE, said(instance(updatedTime=updated)))
    found = opened().instance("merchant-1")
    assert found is not None
    assert found.event.order is None


def test_an_instance_without_its_organization(api: Api, opened: Open):
    """No property is required: the organization is the one that was asked for."""
    api.answers(ONE, said(instance(None)))
    found = opened().instance("merchant-1")
    assert found is not None
    assert found.account == "merchant-1"


def test_an_instance_that_is_gone(api: Api, opened: Open):
    """404 beside a list that is there means that there is no such instance."""
    api.answers(ONE, GONE)
    api.answers(LIST, page([], 0))
    assert opened().instance("merchant-1") is None


@pytest.mark.parametrize("elsewhere", [GONE, html("404 Not Found")])
def test_a_wrong_address_removes_nobody(api: Api, opened: Open, elsewhere: bytes):
    """Where the application itself is 404, nothing is said of its instances."""
    api.answers(ONE, elsewhere)
    with pytest.raises(Down, match="application itself"):
        opened().instance("merchant-1")


@pytest.mark.parametrize("account", [".", "..", "a/b", "", "é", "x" * 51])
def test_what_is_no_organization(api: Api, opened: Open, account: str):
    """What can be no organization has no instance, and is not put into a path."""
    assert opened().instance(account) is None
    assert api.requests == []


@pytest.mark.parametrize(
    "document",
    [instance("other"), [instance()], None, instance(status=7), instance("../x"), "enabled"],
)
def test_an_instance_of_a_wrong_form(api: Api, opened: Open, document: Any):
    """An answer that is another's, or no instance, is not believed."""
    api.answers(ONE, said(document))
    with pytest.raises(Down):
        opened().instance("merchant-1")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said({"title": "Unauthorized"}, "401 Unauthorized"), Refused),
        (said({"title": "Forbidden"}, "403 Forbidden"), Refused),
        (html(), Down),
        (said({}, "500 Internal Server Error"), Down),
    ],
)
def test_errors(api: Api, opened: Open, answer: bytes, error: type[ApiError]):
    """A key is not renewed, and nothing is concluded from an error."""
    api.answers(ONE, answer)
    with pytest.raises(error):
        opened().instance("merchant-1")
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (f"X-RateLimit-Retry-After: {NOW + 25:.0f}", 25),
        (f"X-RateLimit-Retry-After: {NOW - 25:.0f}", 1),
        ("X-RateLimit-Retry-After: 25", 25),
        ("Retry-After: 11", 11),
        ("X-Other: 1", 30),
    ],
)
def test_rate_limits(api: Api, opened: Open, header: str, seconds: float):
    """When to come back stands there as an epoch; seconds are understood, too."""
    api.answers(ONE, said({"title": "Too many"}, "429 Too Many Requests", header))
    with pytest.raises(RateLimited) as caught:
        opened().instance("merchant-1")
    assert caught.value.delay_seconds == seconds


def many(count: int, start: int = 0) -> list[Any]:
    """So many instances."""
    return [{"organizationId": f"m{n}", "status": "enabled"} for n in range(start, start + count)]


def read_all(client: Client) -> tuple[int, str | None]:
    """How many instances a pass gives, and why it is not whole."""
    seen = 0
    try:
        for found in client.instances():
            seen += len(found)
    except Inconsistent as error:
        return seen, str(error)
    return seen, None


def pages_of(total: int) -> list[Reply]:
    """Every page of a list of so many, as far as the API reaches."""
    reach = min(total, 2000)
    starts = [start for start in range(0, 1001, 200) if start == 0 or start < reach]
    ends = [min(reach, 2000 if start == 1000 else start + 200) for start in starts]
    return [page(many(end - start, start), total) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("total", [0, 1, 200, 201, 1000, 1001, 2000])
def test_all_instances(api: Api, opened: Open, total: int):
    """A list within the reach of 2,000 rows is read whole."""
    api.answers(LIST, *pages_of(total))
    assert read_all(opened()) == (total, None)
    queries = [(int(x.query["limit"]), int(x.query["offset"])) for x in api.requests]
    assert all(limit <= 1000 and offset <= 1000 for limit, offset in queries)


def test_beyond_the_reach(api: Api, opened: Open):
    """What lies behind the first 2,000 cannot be read, and that is said, after those 2,000."""
    api.answers(LIST, *pages_of(2001))
    assert read_all(opened()) == (2000, "only the first 2000 of 2001 can be read")


def test_disabled_instances_are_listed(api: Api, opened: Open):
    """An instance that stays in the list once disabled is found as such."""
    api.answers(LIST, page([instance("m1", "disabled")], 1))
    (found,) = next(opened().instances())
    assert found.event.flags is not None
    assert found.event.flags.disabled is True


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([page(many(200), 250), page(many(51, 200), 251)], id="count grows"),
        pytest.param([page(many(200), 250), page(many(10, 200), 210)], id="count shrinks"),
        pytest.param([page(many(150), 250)], id="short page"),
        pytest.param([page(many(200), 250), page(many(49, 200), 250)], id="short last page"),
        pytest.param([page(many(200), 250), page(many(50, 150), 250)], id="repeated"),
        pytest.param([page(many(3), 2)], id="long page"),
        pytest.param([page(many(3), None)], id="no count"),
        pytest.param([page(many(3), "many")], id="count is no number"),
        pytest.param([page({"items": []}, 0)], id="no list"),
        pytest.param([page(["m1"], 1)], id="no objects"),
        pytest.param([page([{"status": "enabled"}], 1)], id="no organization"),
        pytest.param([page([instance("m1", status=[])], 1)], id="wrong status"),
        pytest.param([page([instance("..")], 1)], id="impossible organization"),
    ],
)
def test_a_list_that_lies(api: Api, opened: Open, pages: list[Reply]):
    """A list that contradicts itself is never taken as whole."""
    api.answers(LIST, *pages)
    assert read_all(opened())[1] is not None


@pytest.mark.parametrize("answer", [html(), GONE, said({}, "429 Too Many Requests")])
def test_a_pass_that_breaks_off(api: Api, opened: Open, answer: bytes):
    """A page that does not come ends the pass with an error."""
    api.answers(LIST, page(many(200), 250), answer)
    with pytest.raises(ApiError):
        list(opened().instances())


def test_a_customers_token(api: Api, opened: Open):
    """A fresh token comes with each read of the instance."""
    api.answers(ONE, said(instance()), said(instance(token=None)), said(instance(token="a b")))
    assert opened().customer_token("merchant-1", {}) == ("canary-token", 3600.0)
    with pytest.raises(Unsupported):
        opened().customer_token("merchant-1", {})
    with pytest.raises(Down):
        opened().customer_token("merchant-1", {})
    api.answers(LIST, page([], 0))
    with pytest.raises(Missing):
        opened().customer_token("merchant-2", {})


@pytest.mark.parametrize("base", [OWNER, ""])
def test_configuration(api: Api, opened: Open, base: str):
    """Configuration is read and put in the merchant's name: its path, its token, not our key."""
    api.answers(f"{base}/applications/app_1/instances/merchant-1", said(instance()))
    path = "/organizations/merchant-1/application-instances/app_1/configuration"
    api.answers(path, said({"limit": "5"}), said({"limit": "6"}))
    client = opened(base)
    assert client.configuration("merchant-1") == {"limit": "5"}
    assert client.configure("merchant-1", {"limit": "6"}) == {"limit": "6"}
    read, put = api.to(path)
    assert read.headers["authorization"] == "Bearer canary-token"
    assert "reb-apikey" not in read.headers
    assert (put.method, put.document) == ("PUT", {"limit": "6"})


def test_no_lever(opened: Open):
    """An owner changes no instance."""
    with pytest.raises(Unsupported):
        opened().change("merchant-1", None, {"disabled": True})


APPLICATION: dict[str, Any] = {
    "name": "Billing",
    "logoId": "4f6cf35x-2c4y",
    "authorName": "Acme",
    "tagline": "It bills",
    "description": "# It bills",
    "permissions": ["GetCustomer"],
}


def test_applications(api: Api, opened: Open):
    """Applications are registered, listed and shown."""
    path = f"{OWNER}/applications"
    api.answers(path, said({"id": "app_2"}, "201 Created"), page([{"id": "app_1"}], 1))
    api.answers(f"{path}/app_1", said({"id": "app_1"}))
    applications = opened().applications
    assert applications.register(APPLICATION) == {"id": "app_2"}
    assert list(applications.pages()) == [[{"id": "app_1"}]]
    assert applications.one("app_1") == {"id": "app_1"}
    assert api.requests[0].document == APPLICATION


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"logoId": "x" * 51}, ["logoId"]),
        ({"logoId": "a b"}, ["logoId"]),
        ({"authorLogoId": "x" * 51, "properties": []}, ["authorLogoId", "properties"]),
        ({"permissions": "GetCustomer"}, ["permissions"]),
        ({"permissions": [1]}, ["permissions"]),
        ({"name": "", "status": "available"}, ["name", "status"]),
    ],
)
def test_a_wrong_application(api: Api, opened: Open, fields: dict[str, Any], named: list[str]):
    """All faults are told at once, and nothing is sent."""
    with pytest.raises(Invalid) as caught:
        opened().applications.register(APPLICATION | fields)
    assert [fault.split(":")[0] for fault in caught.value.faults] == named
    assert api.requests == []


def test_an_empty_application(opened: Open):
    """Everything that is required is named."""
    with pytest.raises(Invalid) as caught:
        opened().applications.register({})
    assert {fault.split(":")[0] for fault in caught.value.faults} == set(APPLICATION)


@pytest.mark.parametrize("status", ["422 Unprocessable Entity", "409 Conflict"])
def test_faults_that_only_the_marketplace_finds(api: Api, opened: Open, status: str):
    """Its messages are the faults, each with its field."""
    problem = {"title": "Invalid", "invalidFields": [{"field": "logoId", "message": "unknown"}]}
    api.answers(f"{OWNER}/applications", said(problem, status))
    with pytest.raises(Invalid) as caught:
        opened().applications.register(APPLICATION)
    assert caught.value.faults == ("Invalid", "logoId: unknown")


@pytest.mark.parametrize(
    "answer",
    [
        said({"hash": "h1", "host": "hooks.acme.example"}, "201 Created"),
        said({"hash": "h1"}, "303 See Other", "Location: http://127.0.0.1:1/elsewhere"),
        said({"credentialHash": "h1"}, "201 Created"),
    ],
)
def test_a_webhook_credential(api: Api, opened: Open, answer: bytes):
    """A new credential, or the same as before, is read from the answer; 303 is not followed."""
    path = f"{OWNER}/service-credentials/webhook"
    api.answers(path, answer)
    assert opened().webhooks.credential("hooks.acme.example", "u", "p") == "h1"
    assert [request.document for request in api.requests] == [
        {
            "host": "hooks.acme.example",
            "auth": {"type": "basic", "username": "u", "password": "p"},
        }
    ]


@pytest.mark.parametrize("answer", [said({}, "201 Created"), said([]), reply("303 See Other")])
def test_a_credential_without_hash(api: Api, opened: Open, answer: bytes):
    """Without its hash a credential is of no use."""
    api.answers(f"{OWNER}/service-credentials/webhook", answer)
    with pytest.raises(Down):
        opened().webhooks.credential("hooks.acme.example", "u", "p")


def test_a_quoted_password(api: Api, opened: Open):
    """Where Rebilly quotes the password, our error does not."""
    problem = {"invalidFields": [{"field": "password", "message": "'hunter2' is too short"}]}
    api.answers(f"{OWNER}/service-credentials/webhook", said(problem, "422 Unprocessable Entity"))
    with pytest.raises(Invalid) as caught:
        opened().webhooks.credential("hooks.acme.example", "u", "hunter2")
    assert caught.value.faults == ("password: '…' is too short",)


def test_webhooks(api: Api, opened: Open):
    """One webhook subscribes to both events; all are listed, and one can be replaced."""
    path = f"{OWNER}/webhooks"
    api.answers(path, said({"id": "w1"}, "201 Created"), page([{"id": "w1"}], 1))
    api.answers(f"{path}/w1", said({"id": "w1"}))
    webhooks = opened().webhooks
    assert webhooks.create("https://hooks.acme.example/hooks/rebilly", "h1") == {"id": "w1"}
    assert list(webhooks.pages()) == [[{"id": "w1"}]]
    assert webhooks.update("w1", {"status": "active"}) == {"id": "w1"}
    assert api.requests[0].document == {
        "method": "POST",
        "url": "https://hooks.acme.example/hooks/rebilly",
        "credentialHash": "h1",
        "status": "active",
        "eventsFilter": ["application-instance-enabled", "application-instance-disabled"],
    }
    assert api.paths[2] == f"PUT {path}/w1"
