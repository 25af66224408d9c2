"""Imports instances of an older receiver, with keys and secrets, from JSON Lines.

Each line becomes an entry of the log, under a claim made of what it says: a line that was imported
before does nothing. Knows no file and no terminal; what a line may say of an instance stands beside
each marketplace.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, BinaryIO

import msgspec
from msgspec import UNSET

from innkeeper.bells import BellName
from innkeeper.config import App
from innkeeper.lifecycle.events import Event, EventKind, Flags, InstanceKey
from innkeeper.operations.captured import TOO_LONG, bounded_lines
from innkeeper.operations.desk import Desk
from innkeeper.operations.replay_lines import Report
from innkeeper.platforms import client_of
from innkeeper.store.entry import Captured, EntrySource, NewEntry, new_delivery_id

FLAGS = ("disabled", "suspended", "enabled_by_customer")
BLOCKS = ("application", "authorization_application", "policy", "secrets")
MAX_BLOCKS_BYTES = 256 << 10
_KNOWN = frozenset({"platform", "app", "account", *FLAGS, *BLOCKS})


class Unusable(Exception):
    """A line that cannot be imported. The message quotes no value of a block."""


def import_lines(desk: Desk, file: BinaryIO) -> Report:
    """Import each line; what became of them. Raises StoreError, StoreUnavailable."""
    report = Report()
    for number, _, line in bounded_lines(file):
        try:
            if line is None:
                raise Unusable(TOO_LONG)
            duplicate = desk.log.append(_entry(desk, _document(line))).duplicate
        except Unusable as error:
            report.count("failed", number, str(error))
        else:
            report.count("duplicate" if duplicate else "accepted", number)
    desk.bells[BellName.APPLY].ring()
    return report


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(line)
        msgspec.json.encode(document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        # Without the decoder's words, which may quote a secret.
        raise Unusable("it is not JSON") from None
    if not isinstance(document, dict):
        raise Unusable("it is no object")
    unknown = sorted(set(document) - _KNOWN)
    if unknown:
        raise Unusable(f"it says more than is known here: {', '.join(unknown)[:200]}")
    return document


def _entry(desk: Desk, document: dict[str, Any]) -> NewEntry:
    app = _app(desk, document)
    reading = client_of(app.platform).reading
    account = document.get("account")
    if not isinstance(account, str) or not reading.ACCOUNT.match(account) or account == "-":
        raise Unusable(f"account: is missing, or no account of {app.platform}")
    key, now = InstanceKey(app.platform, app.name, account), time.time()
    return NewEntry(
        delivery=new_delivery_id(key, now=now),
        instance=key,
        at=now,
        source=EntrySource.IMPORT,
        event=_event(reading, app, document),
        signer="operator",
        claims=(_claim(document),),
        captured=Captured(app=app.name),
    )


def _app(desk: Desk, document: dict[str, Any]) -> App:
    platform, name = document.get("platform"), document.get("app")
    if not isinstance(platform, str) or not isinstance(name, str):
        raise Unusable("platform or app: is missing, or no text")
    app = desk.config.app(platform, name)
    if app is None:
        raise Unusable(f"app: {platform}/{name} is not configured"[:200])
    return app


def _event(reading: Any, app: App, document: dict[str, Any]) -> Event:
    blocks = {name: document[name] for name in BLOCKS if document.get(name) is not None}
    secrets, policy = {}, None
    if blocks:
        if not hasattr(reading, "imported"):
            raise Unusable(f"{', '.join(blocks)}: {app.platform} hands out nothing of the kind")
        if len(msgspec.json.encode(blocks)) > MAX_BLOCKS_BYTES:
            raise Unusable(f"its secrets are larger than {MAX_BLOCKS_BYTES >> 10} KiB")
        try:
            secrets, policy = reading.imported(blocks)
        except ValueError as error:
            raise Unusable(str(error)) from None
    return Event(
        type="import",
        kind=EventKind.STATED,
        # Below whatever the marketplace has stated or will state: then that stands, and secrets
        # that were replaced since the file was written come out as the previous ones at most.
        order=getattr(reading, "BEFORE_ALL", None),
        confirmable=app.api is not None,
        adopts=True,
        offering=app.reference,
        flags=_flags(reading.FLAGS, document),
        secrets=secrets,
        policy=policy,
    )


def _flags(had: tuple[str, ...], document: dict[str, Any]) -> Flags | None:
    """The flags as stated; None where the line states none: then they stay unknown."""
    stated = {name: document[name] for name in FLAGS if document.get(name) is not None}
    for name, value in stated.items():
        if name not in had:
            raise Unusable(f"{name}: the marketplace has no such flag")
        if not isinstance(value, bool):
            raise Unusable(f"{name}: is neither true nor false")
    if not stated:
        return None
    return Flags(**{n: stated.get(n, UNSET) if n in had else None for n in FLAGS}, phase=None)


def _claim(document: dict[str, Any]) -> bytes:
    said = msgspec.json.encode(document, order="deterministic")
    return hashlib.sha256(b"import\n" + said).digest()[:12]
