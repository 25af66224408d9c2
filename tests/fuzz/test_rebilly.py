"""Rebilly's hook: any request is Admitted, Rejected or Malformed; no credential, no entry."""

from __future__ import annotations

import base64
import time

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from innkeeper.config import Header, RebillyApp
from innkeeper.lifecycle.errors import Malformed, Reason, Rejected
from innkeeper.lifecycle.events import EventKind
from innkeeper.platforms.admission import Admitted, Request
from innkeeper.platforms.rebilly import inbound
from tests.deliveries import BASIC, rebilly_app
from tests.fuzz.arriving import bodies, entry_of, event_read_back, is_sound, requests
from tests.fuzz.effort import effort
from tests.fuzz.words import header_texts

DESK = rebilly_app()
LAMP = rebilly_app(
    name="lamp", reference="app_lamp", credential=Header(name="X-Lamp", value="oil and wick")
)
APPS = (DESK, LAMP)
GOOD = (next(iter(BASIC.items())), ("x-lamp", "oil and wick"))


def taken(request: Request, app: RebillyApp | None = DESK) -> Admitted | Rejected | Malformed:
    """What becomes of a request at the hook."""
    try:
        return inbound.admit(inbound.open_request(request, app), APPS, (), time.time())
    except (Rejected, Malformed) as error:
        return error


def bearing(request: Request, *more: tuple[str, str]) -> Request:
    """The request with other credentials."""
    names = ("authorization", "x-lamp")
    kept = tuple(header for header in request.headers if header[0] not in names)
    return replace(request, headers=(*kept, *more))


@effort(300)
@given(requests("rebilly", bodies), st.sampled_from([DESK, LAMP, None]), header_texts)
def test_without_the_credential_never(request, app, stated):
    """Not JSON, or the wrong credential: in whichever header and whatever text."""
    encoded = base64.b64encode(stated.encode()).decode()
    for value in (stated, f"Basic {stated}", f"basic {encoded}", GOOD[0][1] + "x"):
        if value == GOOD[1][1]:
            continue
        odd = bearing(request, ("authorization", value), ("x-lamp", value))
        answer = taken(odd, app)
        assert isinstance(answer, Malformed | Rejected)
        assert isinstance(answer, Malformed) or answer.reason is Reason.BAD_CREDENTIAL


@effort(400)
@given(requests("rebilly", bodies), st.sampled_from([DESK, LAMP, None]))
def test_whatever_bears_the_credential(request, app):
    """An object is kept, and only ever as a hint about an instance of a configured app."""
    request = bearing(request, *GOOD)
    admitted = taken(request, app)
    if not isinstance(admitted, Admitted):
        assert isinstance(admitted, Malformed)
        return
    assert is_sound(admitted, "rebilly")
    assert admitted.instance.app in ("desk", "lamp")
    assert admitted.event.hint or admitted.event.kind is EventKind.OTHER
    assert admitted.event.policy is None
    event_read_back(entry_of(admitted, request))


@effort(100)
@given(requests("rebilly", bodies))
def test_replayed_it_is_the_same_or_rejected(request):
    """An operator's replay reads the same bytes in the same way."""
    admitted = taken(bearing(request, *GOOD))
    try:
        again = inbound.reread(request, DESK, APPS, time.time())
    except (Rejected, Malformed):
        assert isinstance(admitted, Malformed)
        return
    assert isinstance(admitted, Admitted)
    assert again.event == admitted.event
