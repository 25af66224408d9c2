"""Xurrent's offerings, webhooks and policies: every limit checked before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from innkeeper.config import XurrentApi, XurrentApp
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.api_errors import Down, Inconsistent, Invalid, Missing
from innkeeper.platforms.xurrent.client import Client, open_client
from innkeeper.platforms.xurrent.resources import OFFERING_FIELDS, offering_faults
from innkeeper.store.tokens import Tokens
from tests.platforms.apis import NOW, Api, said
from tests.sites import reply

GOOD: dict[str, Any] = {
    "name": "Note Dispatcher",
    "policy_jwt_alg": "es512",
    "service_instance": {"id": 83},
    "webhook_uri_template": "https://hooks.acme.example/?account={account}",
}


@pytest.fixture
def client(api: Api, outgoing: Outgoing, tokens: Tokens) -> Client:
    """The client of an app with a personal token."""
    app = XurrentApp(
        name="notes",
        reference="notes",
        account="wdc",
        domain="xurrent.com",
        api=XurrentApi(base_url=f"{api.url}/v1", oauth_url=f"{api.url}/token", token="personal"),
    )
    return open_client(app, outgoing, tokens, now=lambda: NOW)


def test_offerings_are_listed(api: Api, client: Client):
    """Offerings come page by page, filtered and sorted as the API can."""
    api.answers(
        "/v1/app_offerings",
        said([{"id": 1, "reference": "notes"}], "200 OK", 'Link: </v1/more>; rel="next"'),
    )
    api.answers("/v1/more", said([{"id": 2, "reference": "other"}]))
    pages = list(client.offerings.pages({"reference": "notes,other", "sort": "name"}))
    assert [[each["id"] for each in page] for page in pages] == [[1], [2]]
    assert api.requests[0].query["reference"] == "notes,other"


def test_an_unknown_filter(api: Api, client: Client):
    """A filter or sort that the API does not know is told before anything is asked."""
    with pytest.raises(Invalid) as caught:
        client.offerings.pages({"colour": "red", "sort": "reference,-name"})
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["colour", "sort"]
    assert api.requests == []


def test_one_offering(api: Api, client: Client):
    """One offering is found by its id, or Missing."""
    api.answers("/v1/app_offerings/1", said({"id": 1}))
    assert client.offerings.one("1") == {"id": 1}
    with pytest.raises(Missing):
        client.offerings.one("../webhooks")
    assert api.requests[1].path == "/v1/app_offerings/..%2Fwebhooks"


def test_an_offering_is_made_and_changed(api: Api, client: Client):
    """Creating posts and updating patches; the marketplace's document is given back."""
    api.answers("/v1/app_offerings", said({"id": 3, **GOOD}, "201 Created"))
    api.answers("/v1/app_offerings/3", said({"id": 3, **GOOD, "disabled": True}))
    assert client.offerings.create(GOOD)["id"] == 3
    assert client.offerings.update("3", {"disabled": True})["disabled"] is True
    assert api.paths == ["POST /v1/app_offerings", "PATCH /v1/app_offerings/3"]
    assert [request.document for request in api.requests] == [GOOD, {"disabled": True}]


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("card_description", "x" * 255),
        ("configuration_uri_template", "x" * 255),
        ("compliance", "é" * 32768),
        ("description", "é" * 32768),
        ("features", "x" * 65536),
        ("name", "é" * 128),
        ("policy_jwt_audience", "x" * 2048),
        ("reference", "x" * 161),
        ("source", "x" * 30),
        ("sourceID", "x" * 128),
        ("webhook_uri_template", "x" * 255),
    ],
)
def test_limits_of_offerings(field: str, most: str):
    """Each text may be as long as the API says, and not a character longer."""
    assert offering_faults({field: most}, creating=False) == ()
    (fault,) = offering_faults({field: most + "x"}, creating=False)
    assert fault.startswith(f"{field}: is l")


@pytest.mark.parametrize("algorithm", ["rs256", "rs384", "rs512", "es256", "es384", "es512"])
def test_algorithms(algorithm: str):
    """All six algorithms are taken, in lower case."""
    assert offering_faults({"policy_jwt_alg": algorithm}, creating=False) == ()
    assert offering_faults({"policy_jwt_alg": algorithm.upper()}, creating=False) != ()


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("disabled", [True, False, None], ["true", 1]),
        ("requires_enabled_oauth_person", [True], ["yes"]),
        ("service_instance", [83, "83", {"id": 83}, {"sourceID": "a"}], [None, {}, "a", True, -1]),
        ("ui_extension_version", [1, None], [[], {"name": "x"}]),
        ("policy_jwt_claim_expires_in", [10, 0, "10", "00:10", None], [-1, "", True, 1.5]),
        ("compliance_attachments", [[], [{"key": "k"}]], ["k", ["k"]]),
        ("name", ["a"], [None, "", 1, "\ud800"]),
        ("picture_uri", ["https://a.example/x.png", None, ""], [1]),
        ("webhook_uri_template", ["https://a.example/"], [None, ""]),
    ],
)
def test_forms_of_offerings(field: str, good: list[Any], bad: list[Any]):
    """Each field is of its form."""
    for value in good:
        assert offering_faults({field: value}, creating=False) == ()
    for value in bad:
        assert len(offering_faults({field: value}, creating=False)) == 1


def test_all_faults_at_once(api: Api, client: Client):
    """Missing, read-only, unknown and wrong fields are told together, and nothing is sent."""
    with pytest.raises(Invalid) as caught:
        client.offerings.create({"name": "", "id": 1, "colour": "red", "disabled": "no"})
    assert caught.value.faults == (
        "policy_jwt_alg: is required",
        "service_instance: is required",
        "webhook_uri_template: is required",
        "name: must not be empty",
        "id: is read-only",
        "colour: is not a field of this",
        "disabled: must be true or false",
    )
    with pytest.raises(Invalid):
        client.offerings.update("1", {})
    assert api.requests == []


def test_a_reference_may_be_left_out():
    """The marketplace makes the reference from the name."""
    assert offering_faults(GOOD, creating=True) == ()
    assert "reference" in OFFERING_FIELDS


def test_faults_that_only_the_marketplace_finds(api: Api, client: Client):
    """Its own messages are the faults."""
    errors = {"reference": ["has already been taken"]}
    api.answers("/v1/app_offerings", said({"errors": errors}, "422 Unprocessable Entity"))
    with pytest.raises(Invalid) as caught:
        client.offerings.create(GOOD)
    assert caught.value.faults == ("reference: has already been taken",)


def test_webhooks(api: Api, client: Client):
    """Webhooks are listed, shown, made, changed, tested and deleted."""
    api.answers("/v1/webhooks", said([{"id": 5}]), said({"id": 6}, "201 Created"))
    api.answers("/v1/webhooks/6", said({"id": 6}), said({"id": 6}), reply("204 No Content"))
    api.answers("/v1/webhooks/6/test", reply("204 No Content"))
    assert list(client.webhooks.pages()) == [[{"id": 5}]]
    fields = {"event": "app_instance.create", "uri": "https://hooks.acme.example/"}
    assert client.webhooks.create(fields) == {"id": 6}
    assert client.webhooks.one("6") == {"id": 6}
    assert client.webhooks.update("6", {"disabled": False}) == {"id": 6}
    client.webhooks.test("6")
    client.webhooks.delete("6")
    assert api.paths == [
        "GET /v1/webhooks",
        "POST /v1/webhooks",
        "GET /v1/webhooks/6",
        "PATCH /v1/webhooks/6",
        "POST /v1/webhooks/6/test",
        "DELETE /v1/webhooks/6",
    ]


def test_webhook_policies(api: Api, client: Client):
    """The public key of a new policy, which is shown once, is given back as it came."""
    made = {"id": 9, "public_key": "-----BEGIN PUBLIC KEY-----"}
    api.answers("/v1/webhook_policies", said(made, "201 Created"))
    assert client.webhook_policies.create({"jwt_alg": "es512"}) == made


def test_answers_of_another_form(api: Api, client: Client):
    """A list for an object, and an object for a list, are told as such."""
    api.answers("/v1/webhooks/6", said([{"id": 6}]))
    api.answers("/v1/webhooks", said({"id": 6}))
    with pytest.raises(Down):
        client.webhooks.one("6")
    with pytest.raises(Inconsistent):
        list(client.webhooks.pages())
