"""Confirming: reads an instance back because something that was said of it cannot be relied on.

One read settles all wishes that were raised before it; one that was overtaken is wanted again by
apply. Tried for ever: meanwhile the register says `confirmed: false`.
"""

from __future__ import annotations

from innkeeper.lifecycle.errors import Permanent, Temporary
from innkeeper.operations.desk import Desk
from innkeeper.operations.reading import read_back
from innkeeper.platforms.api_errors import ApiError, RateLimited
from innkeeper.store.outbox import Taken
from innkeeper_workers.performing import Task

_LIMIT_SECONDS = 60.0


def task_of(desk: Desk, taken: Taken) -> Task:
    """Confirm the instance that a piece of work is about."""
    return Task(lambda: _confirm(desk, taken), _LIMIT_SECONDS, for_ever=True)


def _confirm(desk: Desk, taken: Taken) -> None:
    key = taken.state.work.instance
    line = desk.register.line(key)
    if line and line.instance.confirm_settled >= line.instance.confirm_wanted:
        return
    app = desk.config.app(key.platform, key.app)
    if app is None or app.api is None:
        raise Permanent(f"{key.platform}/{key.app} has no API configured any more")
    try:
        read_back(desk, app, key)
    except RateLimited as error:
        raise Temporary(error.delay_seconds, error.message) from error
    except ApiError as error:
        raise Temporary(message=error.message) from error
