"""Confirming: reads an instance back because something that was said of it cannot be relied on.

One read settles all wishes that were raised before it; one that was overtaken is wanted again by
apply. Tried for ever: meanwhile the register says `confirmed: false`.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from innkeeper.config import App
from innkeeper.lifecycle.errors import Permanent, Temporary
from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.machine import Outcome
from innkeeper.operations.desk import Desk
from innkeeper.operations.reading import read_back
from innkeeper.platforms.api_errors import ApiError, Down, RateLimited, Refused
from innkeeper.store.entry import Entry
from innkeeper.store.outbox import Taken, Work, WorkState
from innkeeper.store.partitions import partition_of
from innkeeper_workers.performing import Task

_LIMIT_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_OVERTAKEN_SECONDS = 2.0
_MOST_REMEMBERED = 10_000


class _Sent(NamedTuple):
    """A read that was appended: what it was asked for at, and the wishes that it settles."""

    delivery: DeliveryId
    version: int
    settles: int


class _Away(NamedTuple):
    """An app whose marketplace does not serve us: since how many calls, and until when."""

    failures: int
    until: float


class Confirming:
    """The confirming of one process."""

    def __init__(self, desk: Desk) -> None:
        """Work with `desk`."""
        self._desk = desk
        self._sent: dict[InstanceKey, _Sent] = {}
        self._away: dict[InstanceKey, _Away] = {}

    def task_of(self, taken: Taken) -> Task:
        """Confirm the instance that a piece of work is about."""
        return Task(lambda: self._confirm(taken.state), _LIMIT_SECONDS, for_ever=True)

    def _confirm(self, state: WorkState) -> None:
        key = state.work.instance
        line, entry = self._desk.register.line(key), self._entry_of(state.work)
        instance = line.instance if line else None
        overtaken = entry is not None and entry.outcome.startswith(Outcome.OVERTAKEN)
        if instance and instance.confirm_settled >= instance.confirm_wanted and not overtaken:
            return
        if self._is_on_its_way(key, instance):
            return
        if overtaken and state.attempts == 1:
            # It may have come from a copy that lags behind: asked at once, it would say the same.
            raise Temporary(_OVERTAKEN_SECONDS, "the last read was overtaken")
        app = self._desk.config.app(key.platform, key.app)
        if app is None or app.api is None:
            raise Permanent(f"{key.platform}/{key.app} has no API configured any more")
        known = instance is not None and instance.existence.present is not None
        adopts = entry is not None and not known and entry.event(self._desk.ring).adopts
        self._read(app, key, instance, adopts=adopts)

    def _is_on_its_way(self, key: InstanceKey, instance: Instance | None) -> bool:
        """Whether a read of ours that settles the same wishes waits to be folded.

        Should it be overtaken, apply will want another: so this one need not be made.
        """
        sent = self._sent.get(key)
        version, wanted = (instance.version, instance.confirm_wanted) if instance else (0, 0)
        if sent is None or sent.version != version or wanted > sent.settles:
            return False
        # None: the instance has been forgotten since, or the store wiped.
        entry = self._desk.log.find(sent.delivery)
        return entry is not None and not entry.outcome

    def _read(self, app: App, key: InstanceKey, instance: Instance | None, *, adopts: bool) -> None:
        pseudo = InstanceKey.pseudo(app.platform, app.name)
        away = self._away.get(pseudo, _Away(0, 0.0))
        left = away.until - time.time()
        if left > 0:
            # A marketplace that is away costs a time-out a pause, not one for each instance: the
            # others' would have to wait behind them.
            raise Temporary(left, "the marketplace was away a moment ago")
        try:
            delivery = read_back(self._desk, app, key, adopts=adopts)
        except ApiError as error:
            pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(away.failures, 6), _LONGEST_PAUSE_SECONDS)
            asked = error.delay_seconds if isinstance(error, RateLimited) else None
            if isinstance(error, RateLimited | Down | Refused):
                self._away[pseudo] = _Away(away.failures + 1, time.time() + (asked or pause))
            raise Temporary(asked, error.message) from error
        self._away.pop(pseudo, None)
        if delivery is not None:
            self._remember(key, delivery, instance)

    def _remember(self, key: InstanceKey, delivery: DeliveryId, known: Instance | None) -> None:
        if len(self._sent) >= _MOST_REMEMBERED:
            self._sent.clear()
        # What was known a moment before the read: it settles this at least.
        version, wanted = (known.version, known.confirm_wanted) if known else (0, 0)
        self._sent[key] = _Sent(delivery, version, wanted)

    def _entry_of(self, work: Work) -> Entry | None:
        """What was said that has to be confirmed, or the read that was overtaken."""
        return self._desk.log.at(partition_of(work.instance), work.entry)
