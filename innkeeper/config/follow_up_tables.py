"""Reads `[[follow_ups]]`. Imports no function: whether one is there, its caller finds out.

Called by `loading`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from innkeeper.config.apps import PLATFORMS
from innkeeper.config.reading import Table
from innkeeper.config.sections import FollowUp
from innkeeper.config.units import (
    Parse,
    matching,
    one_of,
    positive_duration,
    shown,
    suggestion,
    text,
)

TRIGGERS = (
    "installed",
    "enabled",
    "resumed",
    "suspended",
    "disabled",
    "removed",
    "updated",
    "adopted",
    "secrets_updated",
    "app_event",
)

_StatedApps = list[tuple[object, object]]

_trigger = one_of(*TRIGGERS)
_platform = one_of(*PLATFORMS)
_on_failure: Parse[Literal["continue", "block"]] = one_of("continue", "block")
_function = matching(r"(?!\d)\w+(\.(?!\d)\w+)*:(?!\d)\w+", 'of the form "package.module:function"')


def read_follow_ups(document: Table) -> tuple[FollowUp, ...]:
    """All follow-ups of the file, their names unique."""
    apps = _stated_apps(document)
    read: list[FollowUp] = []
    paths: dict[str, str] = {}
    for table in document.tables("follow_ups"):
        follow_up = _read_follow_up(table, apps)
        first = paths.setdefault(follow_up.name, table.path)
        if first != table.path and follow_up.name:
            table.fault("name", f"{shown(follow_up.name)} is the name of {first}, too")
        read.append(follow_up)
    return tuple(read)


def _read_follow_up(table: Table, apps: _StatedApps) -> FollowUp:
    call = table.take("call", _function, None)
    post = table.take("post", table.reading.url, None)
    secret = _read_secret(table)
    platform = table.take("platform", _platform, None)
    follow_up = FollowUp(
        name=table.take("name", text, "") if table.has("name") else call or post or "",
        on=_read_on(table),
        app=_read_app(table, platform, apps),
        platform=platform,
        call=call,
        post=post,
        secret=secret,
        timeout=table.take("timeout", positive_duration, 30.0),
        on_failure=table.take("on_failure", _on_failure, "continue"),
    )
    table.end()
    return follow_up


def _read_secret(table: Table) -> str | None:
    """The secret with which posts are signed; notes what does not go together."""
    calls, posts, signs = table.has("call"), table.has("post"), table.has("secret_env")
    if calls and posts:
        table.fault("post", "stands beside call: exactly one of them")
    elif not calls and not posts:
        table.fault("call", 'is missing: "package.module:function", or give post')
    elif calls and signs:
        table.fault("secret_env", "is only for post")
    if not posts:
        return None
    secret = table.secret("secret_env")
    if secret.strip() and not _is_signing_secret(secret):
        table.fault("secret_env", "the variable does not hold whsec_ + base64 of 24 to 64 bytes")
    return secret


def _is_signing_secret(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return secret.startswith("whsec_") and 24 <= len(key) <= 64


def _read_on(table: Table) -> tuple[str, ...]:
    if not table.has("on"):
        table.fault("on", f"is missing: an array of {', '.join(TRIGGERS)}")
    elif table.raw("on") == []:
        table.fault("on", "is empty")
    return tuple(dict.fromkeys(table.items("on", _trigger)))


def _stated_apps(document: Table) -> _StatedApps:
    """Platform and name of each app as they stand: also of apps with faults, noted elsewhere."""
    rows = document.raw("apps")
    return [
        (row.get("platform"), row.get("name", row.get("reference")))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    ]


def _read_app(table: Table, platform: str | None, apps: _StatedApps) -> str | None:
    """The name of a configured app, of this platform where one is given."""
    name = table.take("app", text, None)
    names = [named for of, named in apps if platform is None or of == platform]
    if name is not None and name not in names:
        where = f" of {platform}" if platform else ""
        known = [named for named in names if isinstance(named, str)]
        table.fault("app", f"{shown(name)} is no configured app{where}{suggestion(name, known)}")
    return name
