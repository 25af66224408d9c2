"""The configured follow-ups, and setting one off for instances that are there already.

Asked by operators. What is set off is an entry of the log, from which apply makes the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from innkeeper.config import App, Config, FollowUp
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.operations.desk import Desk
from innkeeper.operations.operator_entries import append_by_operator
from innkeeper.operations.questions import BadQuestion


def follow_ups_document(config: Config) -> list[dict[str, Any]]:
    """Each in the order of the configuration; never the secret that signs it."""
    return [
        {
            "name": one.name,
            "on": list(one.on),
            "platform": one.platform,
            "app": one.app,
            "call": one.call,
            "post": one.post,
            "timeout_seconds": one.timeout,
            "on_failure": one.on_failure,
        }
        for one in config.follow_ups
    ]


def set_off(desk: Desk, name: str, app_name: str, status: str, platform: str | None = None) -> int:
    """Have follow-up `name` set off for an app's instances of this status; how many those are.

    Each run sets it off anew, under new idempotency keys. Raises BadQuestion, StoreError,
    StoreUnavailable.
    """
    follow_up, app = _follow_up(desk, name), _app(desk, app_name, platform)
    if status not in list(Status):
        raise BadQuestion(f"{status:.80} is no status: {', '.join(Status)}")
    if follow_up.app not in (None, app.name) or follow_up.platform not in (None, app.platform):
        raise BadQuestion(f"the follow-up {name} is not for {app.platform}/{app.name}")
    event = Event(type="follow_up.run", kind=EventKind.SET_OFF, payload=name)
    count = 0
    for key in _instances(desk, app, Status(status)):
        append_by_operator(desk, key, event)
        count += 1
    return count


def _follow_up(desk: Desk, name: str) -> FollowUp:
    known = {one.name: one for one in desk.config.follow_ups}
    if name not in known:
        raise BadQuestion(f"there is no follow-up {name:.80}: {', '.join(known) or 'none'}")
    return known[name]


def _app(desk: Desk, name: str, platform: str | None) -> App:
    named = [
        app for app in desk.config.apps if app.name == name and platform in (None, app.platform)
    ]
    if not named:
        raise BadQuestion(f"no app {name:.80} is configured")
    if len(named) > 1:
        which = ", ".join(app.platform for app in named)
        raise BadQuestion(f"several marketplaces have an app {name}: name one of {which}")
    return named[0]


def _instances(desk: Desk, app: App, status: Status) -> Iterator[InstanceKey]:
    for keys in desk.register.of_app(app.platform, app.name):
        for line in desk.register.lines(keys):
            if line and line.instance.status is status:
                yield line.instance.key
