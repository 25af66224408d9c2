"""Replays one kept delivery: normalised anew from its exact bytes, and appended to the log.

Asked by operators, and by the requeueing of dead letters. Apply decides what a replay still
changes: nothing, where the delivery itself had an effect.
"""

from __future__ import annotations

import hashlib
import time

from innkeeper.bells import BellName
from innkeeper.lifecycle.errors import Malformed, Rejected
from innkeeper.lifecycle.machine import REPEATS_NOTHING
from innkeeper.operations.desk import Desk
from innkeeper.platforms import inbound_of
from innkeeper.platforms.admission import Admitted, Request
from innkeeper.store.entry import Captured, Entry, EntrySource, NewEntry, new_delivery_id
from innkeeper.store.log import Appended

_DEAD = "dead"


class CannotReplay(Exception):
    """The delivery cannot be taken in as it is now; the message says why."""


def replay_delivery(desk: Desk, entry: Entry, *, follow_ups: bool = False) -> Appended:
    """Append a kept delivery anew. `follow_ups`: whether what it did sets off anything again.

    One that had no effect yet is replayed at most once, until that replay is a dead letter itself.
    Raises CannotReplay, MissingKey, Damaged, StoreError, StoreUnavailable.
    """
    appended = desk.log.append(_entry_of(desk, entry, follow_ups=follow_ups))
    while appended.duplicate:
        # Replayed before. If that replay died, or is the one that had the effect: it is meant.
        outcome = desk.log.outcome(appended.delivery)
        earlier = desk.log.find(appended.delivery)
        if earlier is None or not (outcome == _DEAD or (follow_ups and outcome)):
            break
        appended = desk.log.append(_entry_of(desk, earlier, follow_ups=follow_ups))
    desk.bells[BellName.APPLY].ring()
    return appended


def reread(desk: Desk, platform: str, captured: Captured, now: float) -> Admitted:
    """What a captured delivery says today, its signature unchecked. Raises CannotReplay."""
    inbound = inbound_of(platform)
    app = desk.config.app(platform, captured.app) if captured.app else None
    if inbound is None or (app is None and (captured.app or not inbound.ROUTES_WITHOUT_NAME)):
        raise CannotReplay(f"no app {captured.app or '-'} of {platform} is configured")
    try:
        admitted: Admitted = inbound.reread(
            request_of(platform, captured), app, desk.config.apps, now
        )
    except Malformed as error:
        raise CannotReplay(f"malformed: {error}") from error
    except Rejected as error:
        raise CannotReplay(str(error)) from error
    return admitted


def request_of(platform: str, captured: Captured, **headers: str) -> Request:
    """A captured delivery as a request again, with these headers besides."""
    return Request(
        platform=platform,
        app=captured.app,
        query=captured.query,
        headers=(*captured.headers, *headers.items()),
        body=captured.body,
    )


def nonce(*parts: str) -> bytes:
    """A claim that makes a replay known again: 12 bytes."""
    return hashlib.sha256("\n".join(("replay", *parts)).encode()).digest()[:12]


def _entry_of(desk: Desk, entry: Entry, *, follow_ups: bool) -> NewEntry:
    now = time.time()
    outcome = desk.log.outcome(entry.delivery).partition(" ")[0]
    claims = () if outcome in REPEATS_NOTHING else (nonce(entry.delivery),)
    try:
        captured = desk.log.captured(entry)
    except LookupError as error:
        raise CannotReplay(str(error)) from error
    if entry.source is EntrySource.OPERATOR:
        instance, event, mark = entry.instance, entry.event(desk.ring), entry.mark
    else:
        # As of its arrival: what was in time then is in time now.
        admitted = reread(desk, entry.instance.platform, captured, entry.at)
        instance, event, mark = admitted.instance, admitted.event, admitted.mark
    return NewEntry(
        delivery=new_delivery_id(instance, now=now),
        instance=instance,
        at=now,
        source=EntrySource.REPLAY if entry.source is not EntrySource.OPERATOR else entry.source,
        event=event,
        mark=mark,
        signer=entry.signer,
        claims=claims,
        replays=entry.delivery,
        follow_ups=follow_ups,
        captured=captured,
    )
