"""Refused deliveries: listed, and verified again with today's policies and credentials.

Asked by operators: what was refused by a mistake of ours can be let in later. Nothing is let in
that does not prove itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import msgspec

from innkeeper.bells import BellName
from innkeeper.config import App, Discovery, XurrentApp
from innkeeper.lifecycle.errors import Malformed, Reason, Rejected
from innkeeper.lifecycle.events import DeliveryId, InstanceKey, SigningPolicy
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import rfc3339, seconds_utc
from innkeeper.operations.questions import (
    Asked,
    BadQuestion,
    Page,
    checked,
    read_cursor,
    refuse,
    write_cursor,
)
from innkeeper.operations.replay import request_of
from innkeeper.outgoing import Forbidden, Unreachable
from innkeeper.platforms import inbound_of
from innkeeper.platforms.admission import Admitted, Opened
from innkeeper.platforms.discovery import BadDocument, fetch_keys
from innkeeper.store.entry import NewEntry, new_delivery_id
from innkeeper.store.policies import policy_command, read_policies
from innkeeper.store.rejected import Refusal, Rejection

_FILTERS = ("platform", "app", "reason")


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a retry: accepted or duplicate, with the delivery; or rejected, and why."""

    id: str
    status: str
    delivery: DeliveryId | None = None
    reason: str | None = None
    detail: str = ""


def list_rejected(desk: Desk, asked: Asked) -> Page[Rejection]:
    """A page, the newest first. Raises BadQuestion, MissingKey, StoreError, StoreUnavailable."""
    refuse(asked, "fields", "sort")
    wanted = dict(asked.filters)
    for name in wanted:
        checked("filter", name, _FILTERS)
    if len(wanted) != len(asked.filters):
        raise BadQuestion("a filter is given twice")
    found = find_all(desk, **wanted)
    if asked.cursor is not None:
        before = read_cursor(asked.cursor, tuple[float, str])
        found = [one for one in found if (one.refusal.at, one.id) < before]
    page = found[: asked.per_page]
    following = None
    if len(found) > len(page):
        following = write_cursor(page[-1].refusal.at, page[-1].id)
    return Page(items=page, next=following)


def find_all(
    desk: Desk, *, reason: str | None = None, platform: str | None = None, app: str | None = None
) -> list[Rejection]:
    """All of them, the newest first. Raises BadQuestion, MissingKey, StoreError."""
    if reason is not None:
        checked("reason", reason, [str(one) for one in Reason])
    return [
        one
        for one in desk.rejected.all(now=time.time(), reason=reason)
        if platform in (None, one.app.platform) and app in (None, one.app.app)
    ]


def find_rejected(desk: Desk, rejection_id: str) -> Rejection | None:
    """One by its id; None for what is no id, too."""
    try:
        return desk.rejected.find(rejection_id, now=time.time())
    except ValueError:
        return None


def retry(desk: Desk, rejections: Sequence[Rejection]) -> list[Retried]:
    """Verify again, in the order of arrival, and let in what proves itself now.

    Raises StoreError, StoreUnavailable.
    """
    in_order = sorted(rejections, key=lambda one: (one.refusal.at, one.id))
    results = [_retry(desk, one) for one in in_order]
    if any(one.delivery for one in results):
        desk.bells[BellName.APPLY].ring()
    return results


def rejection_document(rejection: Rejection, *, headers: bool = False) -> dict[str, Any]:
    """A refused delivery; never its body, of which nobody has proven anything."""
    refusal = rejection.refusal
    document = {
        "id": rejection.id,
        "received_at": rfc3339(seconds_utc(refusal.at)),
        "platform": rejection.app.platform,
        "app": rejection.app.app,
        "reason": refusal.reason,
        "detail": refusal.detail,
        "size": len(refusal.captured.body),
    }
    if headers:
        document |= {"query": refusal.captured.query, "headers": refusal.captured.headers}
    return document


def _retry(desk: Desk, rejection: Rejection) -> Retried:
    refusal = rejection.refusal
    try:
        admitted = _admitted(desk, rejection)
    except Rejected as error:
        reason, detail = str(error.reason), error.detail
        return Retried(id=rejection.id, status="rejected", reason=reason, detail=detail)
    except (Malformed, Unreachable, Forbidden, BadDocument) as error:
        return Retried(id=rejection.id, status="rejected", detail=str(error))
    entry = NewEntry(
        delivery=new_delivery_id(admitted.instance),
        instance=admitted.instance,
        at=refusal.at,
        event=admitted.event,
        mark=admitted.mark,
        signer=admitted.signer,
        claims=admitted.claims,
        expires_at=admitted.expires_at,
        captured=refusal.captured,
    )
    appended = desk.log.append(entry)
    # Dropped only once it is in the log; if we die between, its claims tell it for a duplicate.
    desk.rejected.drop(rejection)
    status = "duplicate" if appended.duplicate else "accepted"
    return Retried(id=rejection.id, status=status, delivery=appended.delivery)


def _admitted(desk: Desk, rejection: Rejection) -> Admitted:
    app, refusal = desk.config.app(rejection.app.platform, rejection.app.app), rejection.refusal
    inbound = inbound_of(rejection.app.platform)
    if app is None or inbound is None:
        raise Malformed(f"no app {rejection.app.app} of {rejection.app.platform} is configured")
    if refusal.reason is Reason.ADDRESS_NOT_ALLOWED and getattr(app, "allow_ips", None):
        raise Rejected(refusal.reason, "the caller's address is not kept, and allow_ips is set")
    opened = inbound.open_request(request_of(rejection.app.platform, refusal.captured), app)
    if opened.wanted is None:
        opened = _with_credential(desk, inbound, opened, refusal)
        return _admit(desk, inbound, opened, (), refusal.at)
    policies = _policies(desk, app, opened)
    try:
        # As of its arrival: a token that was valid then is not refused for having waited here.
        return _admit(desk, inbound, opened, policies, refusal.at)
    except Rejected as error:
        if error.reason is not Reason.NOT_YET_VALID:
            raise
        return _admit(desk, inbound, opened, policies, time.time())


def _admit(
    desk: Desk,
    inbound: ModuleType,
    opened: Opened,
    policies: Sequence[SigningPolicy],
    now: float,
) -> Admitted:
    admitted: Admitted = inbound.admit(opened, desk.config.apps, policies, now)
    return admitted


def _with_credential(desk: Desk, inbound: ModuleType, opened: Opened, refusal: Refusal) -> Opened:
    """The request with the credential that it bore, where that is the one expected today."""
    headers = inbound.credential_of(opened, desk.config.apps)
    for value in headers.values():
        held = refusal.credential
        if held is None or desk.ring.digest("credential", value, held) != held:
            raise Rejected(Reason.BAD_CREDENTIAL, "the credential is missing or wrong")
    request = request_of(opened.request.platform, refusal.captured, **headers)
    return msgspec.structs.replace(opened, request=request)


def _policies(desk: Desk, app: App, opened: Opened) -> tuple[SigningPolicy, ...]:
    """Today's policies of whom the request names. Raises Rejected, and what discovery raises."""
    wanted = opened.wanted
    if not isinstance(app, XurrentApp) or wanted is None:
        return ()
    if wanted.account is not None:
        key = InstanceKey(app.platform, app.name, wanted.account)
        answer = desk.store.command(*policy_command(key))
        grace = app.previous_key_grace
        policies = read_policies(answer, now=time.time(), grace_seconds=grace)
        if not policies:
            raise Rejected(Reason.UNKNOWN_ACCOUNT, "no signing policy is known for that account")
        return policies
    if not isinstance(app.policy, Discovery):
        return (app.policy,) if app.policy else ()
    if wanted.issuer is None or wanted.kid is None:
        raise Rejected(Reason.UNKNOWN_KEY, "the token names no key")
    keys = fetch_keys(
        desk.outgoing,
        wanted.issuer,
        algorithm=app.policy.algorithm,
        audience=app.policy.audience,
    )
    if wanted.kid not in keys:
        raise Rejected(Reason.UNKNOWN_KEY, f"no key with kid {wanted.kid!r:.80}")
    return (keys[wanted.kid],)
