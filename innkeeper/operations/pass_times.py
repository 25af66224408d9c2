"""When an app's list is gone through: how often, which is due, how long to wait after a failure.

Used by reconcile, the sweep, receivers and whoever tells how the apps are. Calls no marketplace.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from innkeeper.config import App
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import rfc3339, seconds_utc
from innkeeper.platforms.api_errors import ApiError, RateLimited
from innkeeper.store.passes import PassState

_FIRST_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 1800.0


def interval_of(app: App) -> float | None:
    """How many seconds lie between two passes; None where there are none."""
    if app.api is None:
        return None
    every: float | None = getattr(app, "poll", None) or getattr(app, "reconcile", None)
    return every


def with_passes(apps: Iterable[App]) -> list[App]:
    """The apps whose marketplace's list is gone through."""
    return [app for app in apps if interval_of(app) is not None]


def due_apps(desk: Desk) -> list[App]:
    """The apps whose next pass is due or under way, the one that has waited longest first."""
    apps = with_passes(desk.config.apps)
    times = [
        max(state.not_before, _next_at(app, state))
        for app, state in zip(apps, _states(desk, apps), strict=True)
    ]
    now = time.time()
    due = [place for place, at in enumerate(times) if at <= now]
    return [apps[place] for place in sorted(due, key=times.__getitem__)]


def note_failure(desk: Desk, app: App, error: ApiError) -> PassState:
    """Note that a pass broke off, and when to try again: later each time, or as we were told."""
    key = InstanceKey.pseudo(app.platform, app.name)
    state = desk.passes.states([key])[0]
    pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(state.failures, 10), _LONGEST_PAUSE_SECONDS)
    if isinstance(error, RateLimited):
        pause = error.delay_seconds
    state = replace(
        state,
        error=f"{type(error).__name__}: {error.message}"[:500],
        failures=state.failures + 1,
        not_before=time.time() + pause,
    )
    desk.passes.set(key, state)
    return state


def health_document(desk: Desk, *, with_errors: bool) -> list[dict[str, Any]]:
    """How the passes of each app stand; neither secrets nor customers.

    `state`: `waiting` for its first pass, `ok`, `held`, or `failing`. `with_errors`: and why it is
    failing, in the marketplace's words. Raises StoreError, StoreUnavailable.
    """
    apps = with_passes(desk.config.apps)
    documents = [_health(*pair) for pair in zip(apps, _states(desk, apps), strict=True)]
    for document in documents:
        if not with_errors:
            del document["error"]
    return documents


def _health(app: App, state: PassState) -> dict[str, Any]:
    last, next_at = state.drift, max(state.not_before, _next_at(app, state))
    word = "failing" if state.failures else "held" if state.held_since else "ok"
    return {
        "platform": app.platform,
        "app": app.name,
        "state": word if state.number else "waiting",
        "error": state.error or None,
        "failures": state.failures,
        "last_pass_at": rfc3339(last.ended_at) if last and last.ended_at else None,
        "next_try_at": rfc3339(seconds_utc(next_at)) if next_at else None,
        "held": last.held if last else 0,
        "held_since": rfc3339(seconds_utc(state.held_since)) if state.held_since else None,
        "secrets_missing": last.secrets_missing_count if last else 0,
    }


def _states(desk: Desk, apps: Iterable[App]) -> list[PassState]:
    return desk.passes.states([InstanceKey.pseudo(app.platform, app.name) for app in apps])


def _next_at(app: App, state: PassState) -> float:
    if state.failures:
        return state.not_before
    if state.number != (state.drift.number if state.drift else 0):
        return 0.0  # a pass is under way, or its process died: the lease tells which
    return state.started_at + (interval_of(app) or 0.0)
