"""Xurrent's hook: any request ends as Admitted, Rejected or Malformed, and nobody says too much."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.config import XurrentApp
from innkeeper.lifecycle.errors import Malformed, Rejected
from innkeeper.lifecycle.events import EventKind, Mark, SigningPolicy
from innkeeper.platforms.admission import Admitted, Request
from innkeeper.platforms.xurrent import inbound, issuer
from tests.deliveries import APP, CUSTOMER, PROVIDER, token, xurrent_app
from tests.fuzz.arriving import data, entry_of, event_read_back, is_sound, requests
from tests.fuzz.effort import effort
from tests.fuzz.words import altered, damaged, shuffled, texts, values, written
from tests.keys import key_for, policy_for
from tests.tokens import sign

TIDES = xurrent_app()
APPS = (
    TIDES,
    xurrent_app(name="moons", reference="moons"),
    xurrent_app(name="stars", reference="stars", account="observatory"),
)
POLICIES = {None: policy_for("RS256"), CUSTOMER: policy_for("RS256", CUSTOMER)}
SOUND = written({"jwt": token({"event": "app_instance.update"})})


def taken(request: Request, app: XurrentApp = TIDES) -> Admitted | None:
    """What becomes of a request at the hook; None for one that is refused."""
    try:
        opened = inbound.open_request(request, app)
        account = opened.wanted.account if opened.wanted else None
        return inbound.admit(opened, APPS, _policies(account), time.time())
    except (Rejected, Malformed):
        return None


def _policies(account: str | None) -> list[SigningPolicy]:
    return [POLICIES[account]] if account in POLICIES else []


def signed(said: dict[str, Any], query: str = "", owner: str = "provider") -> Request:
    """Claims under a good signature of `owner`'s."""
    jwt = sign(written(said), "RS256", key_for("RS256", owner))
    return Request(platform="xurrent", app=APP, query=query, body=json.dumps({"jwt": jwt}).encode())


@st.composite
def claims(draw: st.DrawFn, account: str) -> dict[str, Any]:
    """The claims of an account, of which any but the issuer may be odd."""
    said = {"data": draw(data), "iss": f"https://{account}.xurrent.com", "iat": int(time.time())}
    for name in draw(st.sets(st.sampled_from(["jti", "exp", "nbf", "aud", "iat", "x"]))):
        said[name] = draw(values)
    return said


@effort(200)
@given(
    requests("xurrent", st.one_of(damaged(SOUND), values.map(written), st.binary(),
                                  altered(json.loads(SOUND)).map(written)))
)  # fmt: skip
def test_any_request_without_a_signature_is_refused(request):
    """Whatever it is: 400 or 401, unless it is the signed token itself in other clothes."""
    admitted = taken(request)
    assert admitted is None or admitted.mark is Mark.UNDECODABLE


@effort(150)
@given(claims(PROVIDER))
def test_whatever_the_provider_signs(said):
    """Refused, or kept: for its own apps, storable, read back as it was, and claimed the same."""
    request = signed(said)
    admitted = taken(request)
    if admitted is None:
        return
    assert is_sound(admitted, "xurrent")
    assert admitted.instance.app in (TIDES.name, "moons")
    assert admitted.event.kind is not EventKind.APP_EVENT
    assert event_read_back(entry_of(admitted, request)) == admitted.event or _has_infinity(said)
    again = taken(signed(shuffled(said)))
    assert again is not None
    assert again.claims == admitted.claims


@effort(120)
@given(claims(CUSTOMER))
def test_whatever_a_customer_signs(said):
    """Nothing but its own app events and its handshake: no flag, no secret, no key, no other."""
    request = signed(said, f"account={CUSTOMER}", CUSTOMER)
    admitted = taken(request)
    if admitted is None:
        return
    event = admitted.event
    assert is_sound(admitted, "xurrent")
    assert admitted.instance.app == TIDES.name
    assert admitted.instance.account in (CUSTOMER, "-")
    assert event.kind in (EventKind.APP_EVENT, EventKind.HANDSHAKE, EventKind.OTHER)
    assert (event.secrets, event.policy, event.flags) == ({}, None, None)
    event_read_back(entry_of(admitted, request))


@effort(60)
@given(claims(PROVIDER) | claims(CUSTOMER) | claims("observatory"), st.data())
def test_nobody_signs_for_another(said, drawn):
    """A key that is not that of whom the query names gets nothing in."""
    owner, query = drawn.draw(
        st.sampled_from([(CUSTOMER, ""), ("provider", f"account={CUSTOMER}"), ("nobody", "")])
    )
    assert taken(signed(said, query, owner)) is None


@effort(200)
@given(texts, texts)
def test_an_issuer_is_that_of_its_account(stated, configured):
    """No text but the account's own forms is its issuer, and no text is an error."""
    given = issuer.matches(stated, account=PROVIDER, domain="xurrent.com", configured=None)
    assert not given
    issuer.matches(stated, account=PROVIDER, domain="xurrent.com", configured=configured)
    if issuer.is_sound(f"https://{stated}"):
        assert issuer.host_of(f"https://{stated}")


def _has_infinity(document: Any) -> bool:
    return "1e999" in written(document).decode()
