"""Xurrent's webhooks: is a delivery authentic, may its signer say this, and what does it say.

Functions of headers, bytes and keys; facts in `docs/platforms/xurrent.md`. Verify the exact bytes,
then decode, then look at who may say what, then normalise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from msgspec.structs import replace

from innkeeper.config import App, Discovery, XurrentApp
from innkeeper.lifecycle.errors import Malformed, Reason, Rejected
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey, Mark, SigningPolicy
from innkeeper.platforms import jws
from innkeeper.platforms.admission import (
    CLAIM_LIFETIME_SECONDS,
    Admitted,
    NotUnderstood,
    Opened,
    Request,
    Wanted,
    canonical_json,
    claim,
)
from innkeeper.platforms.xurrent import issuer, normalise

PLATFORM = "xurrent"
ROUTES_WITHOUT_NAME = False
INSTALLS = frozenset({"app_instance.create"})
"""The types of event that say that a customer has installed the app just now."""


class Signer(StrEnum):
    """Whose policy signed."""

    PROVIDER = "provider"
    CUSTOMER = "customer"


MAY_SAY = {
    Signer.PROVIDER: frozenset({*normalise.LIFECYCLE, normalise.HANDSHAKE}),
    Signer.CUSTOMER: frozenset({normalise.APP_EVENT, normalise.HANDSHAKE}),
}
"""Who may say what. Without it one customer's stolen key could teach us a key for any other. Of the
provider, types that nothing handles are kept as well, outside the instances' own names."""

_OWN_NAMES = ("app_instance.", "integration_instance.", normalise.APP_EVENT)
_DELIVERY_HEADERS = frozenset(
    {
        "x-xurrent-delivery",
        "x-xurrent-delivery-origin",
        "x-4me-delivery",
        "x-4me-delivery-origin",
    }
)
# What nearly every body is; whatever looks otherwise is decoded as the JSON that it may be.
_SPACE = rb"[ \t\r\n]*"
_PLAIN_ENVELOPE = re.compile(
    _SPACE.join((b"", rb"\{", b'"jwt"', b":", b'"([A-Za-z0-9_.-]*)"', rb"\}", b""))
)
_DELIVERY_ID = re.compile(r"[A-Za-z0-9-]{8,64}\Z")


class _Proven(NamedTuple):
    app: XurrentApp
    signer: Signer
    account: str
    issuer: str
    claims: dict[str, Any]
    fingerprint: str


def open_request(request: Request, app: XurrentApp) -> Opened:
    """Take the outer form apart: an object with a `jwt`. Raises Malformed, Rejected."""
    text = _enveloped(request.body)
    account = _stated_account(request.query) if request.query else None
    token = jws.parse(text)
    wanted = Wanted(account=account)
    if account is None and isinstance(app.policy, Discovery):
        stated = jws.claims_of(token).get("iss")
        if not _is_issuer(stated, app, app.account, app.policy.issuer):
            raise Rejected(Reason.WRONG_ISSUER, f"iss is {stated!r:.200}")
        wanted = Wanted(issuer=stated, kid=token.header.kid)
    return Opened(request=request, app=app, wanted=wanted, content=token)


def _enveloped(body: bytes) -> str:
    """The token in a body. Raises Malformed."""
    if plain := _PLAIN_ENVELOPE.fullmatch(body):
        return plain[1].decode("ascii")
    try:
        envelope = jws.strict_json(body)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("jwt"), str):
        raise Malformed("not an object with a jwt")
    return str(envelope["jwt"])


def admit(
    opened: Opened, apps: Sequence[App], policies: Sequence[SigningPolicy], now: float
) -> Admitted:
    """Verify, entitle and normalise. `policies`: of whom `opened.wanted` names, newest first.

    `now` in seconds since the epoch. Raises Rejected.
    """
    return _normalised(opened.request, verify(opened, policies, now), apps, now)


def reread(request: Request, app: XurrentApp, apps: Sequence[App], now: float) -> Admitted:
    """What a kept delivery says today: no signature is checked, all else holds as in `admit`.

    For operators' replays. Raises Malformed, Rejected.
    """
    opened = open_request(request, app)
    claims = jws.claims_of(opened.content)
    customer = opened.wanted.account if opened.wanted else None
    signer = Signer.PROVIDER if customer is None else Signer.CUSTOMER
    stated = claims.get("iss")
    if not isinstance(stated, str):
        raise Rejected(Reason.WRONG_ISSUER, "iss is no text")
    account = app.account if customer is None else customer
    proven = _Proven(app, signer, account, stated, claims, "operator")
    return _normalised(request, proven, apps, now)


def credential_of(opened: Opened, apps: Sequence[App]) -> dict[str, str]:
    """The header with which the marketplace proves itself: none, it signs."""
    return {}


def _normalised(request: Request, proven: _Proven, apps: Sequence[App], now: float) -> Admitted:
    data, canonical = proven.claims.get("data"), b""
    try:
        if not isinstance(data, dict):
            raise NotUnderstood("data is no object")
        _check_account(data, proven.account)
        if not isinstance(data.get("event"), str):
            raise NotUnderstood("event is no text")
        entitle(proven.signer, normalise.present_name(data["event"]))
        canonical = canonical_json(data)
        instance, event, mark = _content(data, proven, apps, now)
    except NotUnderstood as error:
        instance = InstanceKey.pseudo(PLATFORM, proven.app.name)
        event = Event(type="unknown", kind=EventKind.OTHER, notes=(str(error),))
        mark = Mark.UNDECODABLE
    return Admitted(
        instance=instance,
        event=event,
        mark=mark,
        claims=_claims(request, proven, instance, canonical),
        issued_at=jws.moment(proven.claims, "iat"),
        expires_at=jws.moment(proven.claims, "exp"),
        signer=proven.fingerprint,
    )


def verify(opened: Opened, policies: Sequence[SigningPolicy], now: float) -> _Proven:
    """Signature and registered claims against the policies. Raises Rejected."""
    app: XurrentApp = opened.app
    token: jws.Token = opened.content
    customer = opened.wanted.account if opened.wanted else None
    account = app.account if customer is None else customer
    policy = jws.verify(token, policies)
    claims = jws.claims_of(token)
    if not _is_issuer(claims.get("iss"), app, account, policy.issuer):
        raise Rejected(Reason.WRONG_ISSUER, f"iss is {claims.get('iss')!r:.200}")
    if "jti" in claims and not isinstance(claims["jti"], str):
        raise Rejected(Reason.BAD_CLAIMS, "jti is no text")
    jws.check_claims(
        claims,
        audience=policy.audience,
        now=now,
        expires_in_seconds=app.claim_expires_in if customer is None else None,
    )
    signer = Signer.PROVIDER if customer is None else Signer.CUSTOMER
    return _Proven(app, signer, account, claims["iss"], claims, policy.fingerprint)


def entitle(signer: Signer, event_type: str) -> None:
    """Whether this signer may send events of this type at all. Raises Rejected."""
    unhandled = signer is Signer.PROVIDER and not event_type.startswith(_OWN_NAMES)
    if event_type not in MAY_SAY[signer] and not unhandled:
        raise Rejected(Reason.NOT_ENTITLED, f"the {signer}'s key signs {event_type!r:.80}")


def _content(
    data: dict[str, Any], proven: _Proven, apps: Sequence[App], now: float
) -> tuple[InstanceKey, Event, Mark | None]:
    event_type = normalise.present_name(data["event"])
    pseudo = InstanceKey.pseudo(PLATFORM, proven.app.name)
    signers = pseudo
    if proven.signer is Signer.CUSTOMER:
        signers = InstanceKey(PLATFORM, proven.app.name, proven.account)
    object_id = normalise.object_id_of(data)
    if object_id == normalise.TEST_OBJECT_ID and event_type != normalise.HANDSHAKE:
        return signers, Event(type=event_type, kind=EventKind.OTHER), Mark.TEST
    if event_type not in MAY_SAY[proven.signer]:
        return pseudo, Event(type=event_type, kind=EventKind.OTHER), Mark.IGNORED
    payload = data.get("payload")
    if event_type == normalise.APP_EVENT:
        issued = jws.moment(proven.claims, "iat")
        late = issued is not None and issued < now - CLAIM_LIFETIME_SECONDS
        kind = EventKind.APP_EVENT
        event = Event(type=event_type, kind=kind, object_id=object_id, payload=payload)
        return signers, event, Mark.LATE if late else None
    if not isinstance(payload, dict):
        raise NotUnderstood("payload is no object")
    if event_type == normalise.HANDSHAKE:
        return signers, _handshake(payload, proven.issuer), None
    event = normalise.lifecycle_event(data, payload, proven.claims)
    app = _routed(proven.app, event.offering, apps)
    if app is None:
        return pseudo, event, Mark.UNROUTED
    event = replace(event, confirmable=app.api is not None)
    return InstanceKey(PLATFORM, app.name, normalise.customer_of(payload)), event, None


def _handshake(payload: dict[str, Any], verified_issuer: str) -> Event:
    callback = payload.get("callback")
    if not isinstance(callback, str):
        raise NotUnderstood("callback is no text")
    return Event(
        type=normalise.HANDSHAKE,
        kind=EventKind.HANDSHAKE,
        callback=callback,
        callback_host=issuer.host_of(verified_issuer),
    )


def _routed(app: XurrentApp, reference: str | None, apps: Sequence[App]) -> XurrentApp | None:
    """The provider's app of that offering; None where nobody has it configured.

    Raises Rejected where it is another provider's.
    """
    if reference is None or reference == app.reference:
        return app
    named = [
        other for other in apps if isinstance(other, XurrentApp) and other.reference == reference
    ]
    for other in named:
        if (other.account, other.domain) == (app.account, app.domain):
            return other
    if named:
        raise Rejected(Reason.NOT_ENTITLED, "the offering is another provider's")
    return None


def _check_account(data: dict[str, Any], account: str) -> None:
    stated = data.get("account_id")
    if stated is not None and stated != account:
        raise Rejected(Reason.WRONG_ACCOUNT, f"data.account_id is {stated!r:.80}")


def _is_issuer(stated: object, app: XurrentApp, account: str, configured: str | None) -> bool:
    return issuer.matches(stated, account=account, domain=app.domain, configured=configured)


def _stated_account(query: str) -> str | None:
    """The account that the query names, which only picks a key. Raises Rejected."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        raise Rejected(Reason.UNKNOWN_ACCOUNT, "the query cannot be read") from None
    stated = {value for name, value in pairs if name in ("account", "customer_account_id")}
    if not stated:
        return None
    account = stated.pop()
    if stated or not normalise.ACCOUNT.match(account):
        raise Rejected(Reason.UNKNOWN_ACCOUNT, "the query names no account")
    return account


def _claims(
    request: Request, proven: _Proven, instance: InstanceKey, canonical: bytes
) -> tuple[bytes, ...]:
    """What makes another delivery the same one: signed ids first, then the platform's own.

    Never the token's text, which can be altered without breaking its signature.
    """
    named: list[tuple[str, str]] = []
    if proven.claims.get("jti"):
        named.append(("jti", proven.claims["jti"]))
    payload = proven.claims["data"].get("payload") if canonical else None
    if isinstance(payload, dict) and payload.get("audit_line_id") is not None:
        # A retry that is signed anew has the same data, while one change may send several
        # secrets-updates under one audit line.
        named.append(("data", hashlib.sha256(canonical).hexdigest()))
    for header, value in request.headers:
        if header in _DELIVERY_HEADERS and _DELIVERY_ID.match(value):
            named.append(("delivery", value.lower()))
    return tuple(dict.fromkeys(claim(instance, proven.issuer, *pair) for pair in named))
