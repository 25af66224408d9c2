"""Checks of what waits, stands or was refused: the figures for whoever is on call, judged."""

from __future__ import annotations

import time

from innkeeper.lifecycle.errors import Reason
from innkeeper.operations.desk import Desk
from innkeeper.operations.doctor.findings import fine, span, warning, wrong
from innkeeper.operations.standing import AppStanding, figures_of
from innkeeper.platforms import WITH_WEBHOOKS
from innkeeper.store.standing import Standing
from innkeeper.store.trust import Finding

_LATE_SECONDS, _STANDS_SECONDS = 60.0, 900.0
_WORK_LATE_SECONDS = 3600.0
_LATELY_SECONDS = 86400.0
_HINTS = {
    Reason.WRONG_AUDIENCE: "[apps.policy] audience is not what the marketplace states",
    Reason.WRONG_ISSUER: "[apps.policy] issuer, account or domain is not what it states",
    Reason.WRONG_ALGORITHM: "[apps.policy] algorithm is not what it signs with",
    Reason.BAD_SIGNATURE: "the policy's key was replaced, or a stranger tries",
    Reason.UNKNOWN_KEY: "the policy's key was replaced, or a stranger tries",
    Reason.UNKNOWN_ACCOUNT: "a customer whose signing policy never came, or a stranger",
    Reason.EXPIRED: "see the clock; or deliveries come late",
    Reason.NOT_YET_VALID: "see the clock",
    Reason.BAD_CREDENTIAL: "the credential was changed on one side only, or a stranger tries",
    Reason.ADDRESS_NOT_ALLOWED: "allow_ips lacks an address, or trusted_proxies a proxy",
    Reason.NOT_ENTITLED: "a customer's or another provider's key says what it may not",
}


def check(desk: Desk) -> list[Finding]:
    """The backlog, what stands, dead letters, work, and each app. Raises StoreError,
    StoreUnavailable.
    """
    found = figures_of(desk)
    standing = found.standing
    apps = [finding for app in found.apps for finding in _app(app, standing.now)]
    return [_backlog(standing), *_stopped(standing), _dead(standing), _work(standing), *apps]


def check_refused(desk: Desk) -> list[Finding]:
    """What was refused within a day, by app and reason. Raises StoreError, StoreUnavailable."""
    lately = time.time() - _LATELY_SECONDS
    rings = [ring for ring in desk.rejected.rings() if ring.newest_at >= lately]
    if not rings:
        return [fine("refused", "nothing within a day")]
    return [
        warning(
            f"refused, {ring.app.platform}/{ring.app.app}",
            f"{_HINTS.get(ring.reason, 'see what came')}; newest {_ago(ring.newest_at)} ago: "
            f"`innkeeper rejected --reason {ring.reason}`, and `rejected retry` once it is right",
            f"{ring.count} {ring.reason}",
        )
        for ring in rings
    ]


def _backlog(standing: Standing) -> Finding:
    name, value = "backlog", f"{standing.pending} deliveries"
    if standing.oldest_pending_at is None:
        return fine(name, "nothing waits to be applied")
    age = standing.now - standing.oldest_pending_at
    said = f"the oldest has waited for {span(age)} to be applied"
    if age < _LATE_SECONDS:
        return fine(name, said, value)
    said = f"{said}: see workers and queue server, and the workers' log"
    return (wrong if age > _STANDS_SECONDS else warning)(name, said, value)


def _stopped(standing: Standing) -> list[Finding]:
    return [
        wrong("partition", f"it stands: {why}. See docs/operations.md, The register", str(number))
        for number, why in standing.stopped.items()
    ]


def _dead(standing: Standing) -> Finding:
    count = standing.dead_letters
    if not count:
        return fine("dead letters", "there are none")
    said = "`innkeeper dead-letters` says why; `dead-letters requeue ID` tries again"
    return warning("dead letters", said, str(count))


def _work(standing: Standing) -> Finding:
    name, value = "follow-ups", f"{standing.work} waiting"
    if standing.oldest_work_at is None:
        return fine(name, "none waits, nor a handshake or confirm")
    age = standing.now - standing.oldest_work_at
    said = f"the oldest, a handshake or confirm among them, for {span(age)}"
    if age < _WORK_LATE_SECONDS:
        return fine(name, said, value)
    said = f"{said}: `follow_up.performed` in the workers' log has the errors"
    return warning(name, said, value)


def _app(app: AppStanding, now: float) -> list[Finding]:
    name, found = f"{app.platform}/{app.app}", []
    heard = f"the last delivery came {span(now - app.heard_at)} ago" if app.heard_at else None
    if app.platform in WITH_WEBHOOKS:
        found.append(fine(f"{name}, deliveries", heard or "none has come yet"))
    passes = app.passes
    if passes is not None and passes.failures:
        said = f"{passes.failures} passes over its list in a row broke off: {passes.error}"
        found.append(warning(f"{name}, list", said))
    if app.held:
        since = span(now - (passes.held_since or now)) if passes else ""
        said = f"held for {since}: more vanished at once than is believed. If they are gone: "
        command = f"`innkeeper reconcile {app.app} --accept-removals`"
        found.append(warning(f"{name}, removals", said + command, str(app.held)))
    if app.secrets_missing:
        said = "customers are there without secrets: `innkeeper reconcile` names them; each has to"
        said += " enter them anew, or they are imported"
        found.append(warning(f"{name}, secrets missing", said, str(app.secrets_missing)))
    return found


def _ago(at: float) -> str:
    return span(max(0.0, time.time() - at))
