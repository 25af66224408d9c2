"""Rebilly's webhooks: is a delivery authentic, whose app is it about, and what does it say.

Functions of headers, bytes and keys; facts in `docs/platforms/rebilly.md`. There is no signature:
a credential shows that the sender is the marketplace, so what it says is a hint.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from innkeeper.config import App, Basic, Header, NoCredential, RebillyApp
from innkeeper.lifecycle.errors import Malformed, Reason, Rejected
from innkeeper.lifecycle.events import (
    Event,
    EventKind,
    Flags,
    InstanceKey,
    Mark,
    SigningPolicy,
)
from innkeeper.platforms import jws
from innkeeper.platforms.admission import (
    Admitted,
    NotUnderstood,
    Opened,
    Request,
    canonical_json,
)
from innkeeper.platforms.rebilly.values import RESOURCE_ID, changed_at

PLATFORM = "rebilly"
ROUTES_WITHOUT_NAME = True
"""One subscription covers all of an owner's applications: the path may leave the app out."""
ENABLED = "application-instance-enabled"
DISABLED = "application-instance-disabled"
INSTALLS = frozenset({ENABLED})
"""What says that a customer has installed the app just now: nothing else tells of an install."""
_IN_QUERY = {"enabled": ENABLED, "disabled": DISABLED}
_STATED = ("status", "isConfigured", "createdTime", "updatedTime")


def open_request(request: Request, app: RebillyApp | None) -> Opened:
    """Take the outer form apart: an object. `app`: None where the path names none."""
    try:
        body = jws.strict_json(request.body)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Malformed("not an object")
    return Opened(request=request, app=app, wanted=None, content=body)


def admit(
    opened: Opened, apps: Sequence[App], policies: Sequence[SigningPolicy], now: float
) -> Admitted:
    """Verify, route and normalise; `policies` and `now` decide nothing here. Raises Rejected."""
    body: dict[str, Any] = opened.content
    own = [app for app in apps if isinstance(app, RebillyApp)]
    app, routed = _routed(opened.app, _application_id(body), own)
    # About an app that nobody has configured, only a credential shows that the marketplace speaks.
    proving = [other for other in own if not isinstance(other.credential, NoCredential)]
    app = verify(opened.request, [app] if app else proving)
    return _normalised(opened, app, routed=routed)


def reread(request: Request, app: RebillyApp | None, apps: Sequence[App], now: float) -> Admitted:
    """What a kept delivery says today: no credential is checked, all else holds as in `admit`.

    For operators' replays. Raises Malformed, Rejected.
    """
    opened = open_request(request, app)
    found, routed = _addressed(opened, apps)
    return _normalised(opened, found, routed=routed)


def credential_of(opened: Opened, apps: Sequence[App]) -> dict[str, str]:
    """The header with which the marketplace proves itself today; empty where it bears none."""
    credential = _addressed(opened, apps)[0].credential
    if isinstance(credential, Header):
        return {credential.name.lower(): credential.value}
    if isinstance(credential, Basic):
        pair = f"{credential.username}:{credential.password}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _addressed(opened: Opened, apps: Sequence[App]) -> tuple[RebillyApp, bool]:
    """The app that a delivery is about, or else any of the marketplace's. Raises Rejected."""
    own = [app for app in apps if isinstance(app, RebillyApp)]
    app, routed = _routed(opened.app, _application_id(opened.content), own)
    if app is None and not own:
        raise Rejected(Reason.NOT_ENTITLED, "no app of the marketplace is configured")
    return app or own[0], routed


def _normalised(opened: Opened, app: RebillyApp, *, routed: bool) -> Admitted:
    body: dict[str, Any] = opened.content
    mark: Mark | None = None if routed else Mark.UNROUTED
    instance = InstanceKey.pseudo(PLATFORM, app.name)
    try:
        canonical_json(body)
        event = _event(body, opened.request.query, app)
        if event.kind is EventKind.OTHER:
            mark = mark or Mark.IGNORED
        elif routed:
            instance = InstanceKey(PLATFORM, app.name, _organization(body))
    except NotUnderstood as error:
        event = Event(type="unknown", kind=EventKind.OTHER, notes=(str(error),))
        mark = mark or Mark.UNDECODABLE
    return Admitted(instance=instance, event=event, mark=mark, signer=_kind(app))


def verify(request: Request, apps: Sequence[RebillyApp]) -> RebillyApp:
    """The first of `apps` whose credential the request bears. Raises Rejected.

    Every credential is compared, each in constant time.
    """
    bearers = [app for app in apps if _bears(request, app)]
    if not bearers:
        raise Rejected(Reason.BAD_CREDENTIAL, "the credential is missing or wrong")
    return bearers[0]


def _bears(request: Request, app: RebillyApp) -> bool:
    credential = app.credential
    if isinstance(credential, NoCredential):
        return True
    if isinstance(credential, Header):
        stated = request.header(credential.name.lower()) or ""
        return hmac.compare_digest(stated.encode(), credential.value.encode())
    expected = f"{credential.username}:{credential.password}".encode()
    return hmac.compare_digest(_basic(request.header("authorization")), expected)


def _basic(header: str | None) -> bytes:
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _kind(app: RebillyApp) -> str:
    kinds = {Basic: "basic", Header: "header", NoCredential: "none"}
    return f"credential:{kinds[type(app.credential)]}"


def _routed(
    named: RebillyApp | None, application: str | None, apps: Sequence[RebillyApp]
) -> tuple[RebillyApp | None, bool]:
    """The app whose credential counts, and whether the delivery is about it.

    One subscription covers all of an owner's applications, so the body decides over the path.
    """
    if application is None or (named and named.reference == application):
        return named, named is not None
    for app in apps:
        if app.reference == application:
            return app, True
    return named, False


def _event(body: dict[str, Any], query: str, app: RebillyApp) -> Event:
    event_type = body.get("eventType")
    if event_type is None:
        event_type = _said_in(query)
    if not isinstance(event_type, str):
        raise NotUnderstood("neither eventType nor ?event= says what happened")
    if event_type not in (ENABLED, DISABLED):
        return Event(type=event_type[:200], kind=EventKind.OTHER)
    found = _embedded(body, "applicationInstance")
    settings = found.get("settings")
    return Event(
        type=event_type,
        kind=EventKind.STATED,
        order=changed_at(found.get("updatedTime")) if event_type == ENABLED else None,
        hint=True,
        confirmable=app.api is not None,
        creates=not isinstance(app.credential, NoCredential),
        offering=app.reference,
        # What happened is what the type says: which status an *enabled* embeds, nobody knows.
        flags=Flags(
            disabled=event_type == DISABLED, suspended=None, enabled_by_customer=None, phase=None
        ),
        stated={name: found[name] for name in _STATED if name in found},
        # A customer's settings may well be credentials. The token lives an hour: it is dropped.
        secrets={f"settings.{name}": value for name, value in settings.items()}
        if isinstance(settings, dict)
        else {},
    )


def _said_in(query: str) -> str | None:
    try:
        said = parse_qs(query, max_num_fields=64).get("event", [])
    except ValueError:
        return None
    return _IN_QUERY.get(said[0]) if len(said) == 1 else None


def _application_id(body: dict[str, Any]) -> str | None:
    stated = body.get("applicationId", _embedded(body, "application").get("id"))
    return stated if isinstance(stated, str) else None


def _organization(body: dict[str, Any]) -> str:
    embedded = _embedded(body, "applicationInstance").get("organizationId")
    stated = body.get("organizationId", embedded)
    if not isinstance(stated, str) or not RESOURCE_ID.match(stated):
        raise NotUnderstood("organizationId is missing or no id")
    return stated


def _embedded(body: dict[str, Any], name: str) -> dict[str, Any]:
    embedded = body.get("_embedded")
    found = embedded.get(name) if isinstance(embedded, dict) else None
    return found if isinstance(found, dict) else {}
