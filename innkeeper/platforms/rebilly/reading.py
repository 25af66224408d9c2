"""From an application instance of Rebilly's API to what was found.

Pure; facts in `docs/platforms/rebilly.md`. Raises ValueError for what is of another form.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from innkeeper.config import RebillyApp
from innkeeper.lifecycle.events import Event, EventKind, Flags, Phase
from innkeeper.platforms.calls import Found
from innkeeper.platforms.rebilly.values import RESOURCE_ID, changed_at

ACCOUNT = RESOURCE_ID
FLAGS = ("disabled",)
"""The flags that an instance has here."""
_STATED = ("status", "isConfigured", "createdTime", "updatedTime")
_FLAGS = {
    "enabling": Flags(disabled=False, phase=Phase.ENABLING),
    "enabled": Flags(disabled=False, phase=None),
    "disabling": Flags(disabled=False, phase=Phase.DISABLING),
    "disabled": Flags(disabled=True, phase=None),
}


def found(document: Any, app: RebillyApp, account: str | None = None) -> Found:
    """The instance. `account`: whose was asked for, where one was; the document may leave it out.

    The token is left out; settings are secrets, as in deliveries.
    """
    if not isinstance(document, dict):
        raise ValueError("an application instance is no object")
    stated = document.get("organizationId", account)
    if not isinstance(stated, str) or not RESOURCE_ID.match(stated):
        raise ValueError("organizationId is missing or no id")
    if account is not None and stated != account:
        raise ValueError("it is another organization's")
    settings = document.get("settings")
    event = Event(
        type="read",
        kind=EventKind.STATED,
        order=changed_at(document.get("updatedTime")),
        offering=app.reference,
        flags=_flags(document.get("status")),
        stated={name: document[name] for name in _STATED if name in document},
        secrets={f"settings.{name}": value for name, value in settings.items()}
        if isinstance(settings, dict)
        else {},
    )
    return Found(account=stated, event=event)


def _flags(status: Any) -> Flags:
    """A status that is left out, or that nobody knows, says nothing."""
    if status is not None and not isinstance(status, str):
        raise ValueError("the status is no text")
    known = _FLAGS.get(status or "", Flags(disabled=UNSET, phase=UNSET))
    return Flags(
        disabled=known.disabled, suspended=None, enabled_by_customer=None, phase=known.phase
    )


ABSENT = Event(
    type="read",
    kind=EventKind.STATED,
    flags=Flags(disabled=True, suspended=None, enabled_by_customer=None, phase=None),
)
"""What it means that the API shows no such instance: a disabled one may well answer 404."""
