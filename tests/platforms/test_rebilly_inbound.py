"""Rebilly: whose credential a delivery must bear, and which app it is about."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from innkeeper.config import Basic, Header, NoCredential, RebillyApp
from innkeeper.lifecycle.errors import Reason, Rejected
from innkeeper.lifecycle.events import EventKind, Mark
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.platforms.admission import Admitted, Request
from innkeeper.platforms.rebilly import inbound

BASIC = RebillyApp(
    name="tides", reference="app_1", credential=Basic(username="rebilly", password="ebb: å")
)
OTHER_BASIC = RebillyApp(
    name="currents", reference="app_2", credential=Basic(username="rebilly", password="flow")
)
BY_HEADER = RebillyApp(
    name="moons", reference="app_3", credential=Header(name="X-Harbour-Key", value="low-water")
)
BY_NOTHING = RebillyApp(name="stars", reference="app_4", credential=NoCredential())
APPS = (BASIC, OTHER_BASIC, BY_HEADER, BY_NOTHING)

Headers = list[tuple[str, str]]


def basic(password: str, username: str = "rebilly", scheme: str = "Basic") -> tuple[str, str]:
    """A header with basic credentials."""
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return "authorization", f"{scheme} {encoded}"


GOOD: dict[str, Headers] = {
    "tides": [basic("ebb: å")],
    "currents": [basic("flow")],
    "moons": [("x-harbour-key", "low-water")],
    "stars": [],
}


def admit(
    headers: Headers,
    to: RebillyApp | None = BASIC,
    application: Any = "app_1",
    apps: tuple[RebillyApp, ...] = APPS,
    query: str = "",
    **more: Any,
) -> Admitted:
    """Post a *disabled* of `org_1`, with `more` in its body; None leaves a name out."""
    body = {"organizationId": "org_1", "eventType": inbound.DISABLED} | more
    if application is not None:
        body["applicationId"] = application
    body = {name: value for name, value in body.items() if value is not None}
    request = Request(
        platform="rebilly",
        app=to.name if to else None,
        query=query,
        headers=tuple(headers),
        body=json.dumps(body).encode(),
    )
    return inbound.admit(inbound.open_request(request, to), apps, (), 0.0)


def refused(headers: Headers, to: RebillyApp | None = BASIC, **more: Any) -> None:
    """Its credential is missing or wrong, and the refusal quotes none."""
    with pytest.raises(Rejected) as raised:
        admit(headers, to, **more)
    assert raised.value.reason is Reason.BAD_CREDENTIAL
    assert "ebb" not in str(raised.value)


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_each_kind_of_credential(app):
    """With the app's own credential a delivery is admitted, and its kind is told."""
    admitted = admit(GOOD[app.name], app, app.reference)
    assert str(admitted.instance) == f"rebilly/{app.name}/org_1"
    kind = {"moons": "header", "stars": "none"}.get(app.name, "basic")
    assert admitted.signer == f"credential:{kind}"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [basic("flow")],
        [basic("")],
        [basic("ebb: å", "Rebilly")],
        [basic("ebb: å", scheme="Bearer")],
        [basic("ebb: å", scheme="Digest")],
        [("authorization", "Basic")],
        [("authorization", "Basic ")],
        [("authorization", "Basic !!!")],
        [("authorization", "Basic é")],
        [("authorization", "Basic cmViaWxseQ==")],
        [("authorization", "rebilly:ebb: å")],
        [basic("ebb: å"), basic("ebb: å")],
        [basic("ebb: å"), basic("flow")],
        [("x-authorization", basic("ebb: å")[1])],
    ],
)
def test_basic_credentials_that_are_none(headers):
    """Missing, wrong, of another scheme, broken, or given twice."""
    refused(headers)


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_scheme_may_be_written_in_any_case(scheme):
    """As HTTP has it; the password may hold colons and any letter."""
    assert admit([basic("ebb: å", scheme=scheme)]).mark is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-harbour-key", "")],
        [("x-harbour-key", "Low-water")],
        [("x-harbour-key", "low-wate")],
        [("x-harbour-key", "low-water, low-water")],
        [("x-harbour-key", "low-water"), ("x-harbour-key", "low-water")],
        [("x-harbour", "low-water")],
        [basic("low-water")],
    ],
)
def test_header_credentials_that_are_none(headers):
    """Missing, wrong, given twice, or under another name."""
    refused(headers, BY_HEADER, application="app_3")


@pytest.mark.parametrize("to", [None, *APPS], ids=lambda app: app.name if app else "no name")
@pytest.mark.parametrize("about", APPS, ids=lambda app: app.name)
def test_the_body_decides_whose_credential_counts(to, about):
    """Wherever it is posted, a delivery about an app bears that app's credential."""
    admitted = admit(GOOD[about.name], to, about.reference)
    assert str(admitted.instance) == f"rebilly/{about.name}/org_1"
    for other in APPS:
        if other is not about and about is not BY_NOTHING:
            refused(GOOD[other.name], to, application=about.reference)


@pytest.mark.parametrize("to", APPS[:3], ids=lambda app: app.name)
def test_an_unknown_application_is_unrouted(to):
    """Kept under the app to which it was posted, whose credential counts."""
    admitted = admit(GOOD[to.name], to, "app_99")
    assert (str(admitted.instance), admitted.mark) == (f"rebilly/{to.name}/-", Mark.UNROUTED)
    refused([], to, application="app_99")


@pytest.mark.parametrize("application", ["app_99", None, ["app_1"], 7, {"id": "app_1"}])
@pytest.mark.parametrize("app", APPS[:3], ids=lambda app: app.name)
def test_without_a_name_an_unknown_application_needs_any_credential(app, application):
    """Some configured app's credential shows that the marketplace speaks."""
    admitted = admit(GOOD[app.name], None, application)
    assert (str(admitted.instance), admitted.mark) == (f"rebilly/{app.name}/-", Mark.UNROUTED)
    refused([], None, application=application)


def test_no_credential_never_proves_an_unknown_application():
    """An app without a credential lets nobody in about others."""
    refused([], None, application="app_99", apps=(BY_NOTHING,))
    refused([], None, application="app_99", apps=())


def test_the_application_may_only_be_embedded():
    """A template of the owner's may leave `applicationId` out."""
    embedded = {"application": {"id": "app_2"}}
    admitted = admit(GOOD["currents"], None, None, _embedded=embedded)
    assert str(admitted.instance) == "rebilly/currents/org_1"


def test_without_a_credential_a_hint_makes_no_instance():
    """Only its own word supports it; with a credential it may."""
    assert not admit([], BY_NOTHING, "app_4").event.creates
    assert admit(GOOD["tides"]).event.creates
    assert admit([], BY_NOTHING, "app_4").event.hint
    assert admit(GOOD["tides"]).event.hint


def test_nothing_makes_two_deliveries_one():
    """Two genuine bodies may be identical byte by byte: there is no claim."""
    assert admit(GOOD["tides"]).claims == ()


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        (inbound.ENABLED, "event=enabled"),
        (inbound.DISABLED, "event=disabled"),
        (inbound.DISABLED, "x=1&event=disabled"),
        (None, ""),
        (None, "event="),
        (None, "event=Enabled"),
        (None, "event=application-instance-enabled"),
        (None, "event=enabled&event=enabled"),
        (None, "Event=enabled"),
        (None, "event=%00"),
    ],
)
def test_the_query_may_say_what_happened(expected, query):
    """Only where the body does not, and only in the two words."""
    admitted = admit(GOOD["tides"], query=query, eventType=None)
    if expected is None:
        assert admitted.mark is Mark.UNDECODABLE
    else:
        assert (admitted.event.type, admitted.mark) == (expected, None)


def test_a_flood_of_query_fields_is_not_understood():
    """It is kept, and raises nothing."""
    query = "&".join(["a=1"] * 100) + "&event=enabled"
    assert admit(GOOD["tides"], query=query, eventType=None).mark is Mark.UNDECODABLE


@pytest.mark.parametrize("stated", [7, "", "a b", "ü", "a/b", "a" * 51, ["org_1"], "org_1\n"])
def test_an_organization_is_an_id(stated):
    """Anything else is kept and becomes a dead letter."""
    admitted = admit(GOOD["tides"], organizationId=stated)
    assert (admitted.mark, str(admitted.instance)) == (Mark.UNDECODABLE, "rebilly/tides/-")


@pytest.fixture
def _in_auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's own zone, far from UTC, which must not matter."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("expected", "stated"),
    [
        (1_700_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_000_000, "2023-11-14T22:13:20"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_000_000, "2023-11-15T00:13:20+02:00"),
        (None, None),
        (None, ""),
        (None, "soon"),
        (None, 1_700_000_000),
        (None, ["2023-11-14T22:13:20Z"]),
    ],
)
@pytest.mark.usefixtures("_in_auckland")
def test_the_time_of_the_last_change_orders_enabled(expected, stated):
    """In microseconds, UTC where no zone is named; none where it cannot be read."""
    embedded = {"applicationInstance": {"updatedTime": stated}}
    event = admit(GOOD["tides"], eventType=inbound.ENABLED, _embedded=embedded).event
    assert event.order == (OrderKey(OrderKind.UPDATED, expected) if expected else None)


@pytest.mark.parametrize(
    "embedded", [None, [], "x", {"applicationInstance": []}, {"application": 7}]
)
@pytest.mark.parametrize("said", [inbound.ENABLED, inbound.DISABLED])
def test_what_is_embedded_may_be_anything(embedded, said):
    """No property is required."""
    admitted = admit(GOOD["tides"], eventType=said, _embedded=embedded)
    assert (admitted.mark, admitted.event.kind) == (None, EventKind.STATED)
    assert admitted.event.flags
    assert admitted.event.flags.disabled is (said == inbound.DISABLED)


def test_a_disabled_never_has_an_order():
    """It embeds no time; that of an instance embedded by mistake is not its own."""
    embedded = {"applicationInstance": {"updatedTime": "2023-11-14T22:13:20Z"}}
    assert admit(GOOD["tides"], _embedded=embedded).event.order is None
