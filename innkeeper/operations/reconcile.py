"""Reconcile: goes through a marketplace's list page by page and mends what the register has missed.

Run by the marketplaces job when due, and by `innkeeper reconcile`. The first full pass of an app in
a store adopts who is there already. Later, a difference is settled by reading the instance back;
where a pass's number orders what it saw (a polled marketplace), what it saw is the fact itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from innkeeper.config import App
from innkeeper.lifecycle.events import Event, InstanceKey, Read
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.machine import Arrival, Outcome, fold
from innkeeper.lifecycle.order import OrderKind
from innkeeper.operations.desk import Desk
from innkeeper.operations.reading import append_found, append_read, open_client, read_back
from innkeeper.platforms import client_of
from innkeeper.platforms.api_errors import ApiError, RateLimited
from innkeeper.platforms.calls import Found
from innkeeper.store.entry import EntrySource, new_delivery_id
from innkeeper.store.passes import Drift, PassState
from innkeeper.store.register import Line, digester

_LISTED_MISSING = 100


_FIRST_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 1800.0


class LeaseLost(Exception):
    """Another process is at a pass of this app, or has taken this one over."""


class Pass:
    """One pass over the list of one app. Raises ApiError, LeaseLost, StoreError, StoreUnavailable.

    `accept_removals`: an operator has said that vanished instances are gone, however many. `drift`
    tells what was found so far.
    """

    def __init__(self, desk: Desk, app: App, *, accept_removals: bool = False) -> None:
        """Nothing is asked or written before the first step."""
        self._desk = desk
        self._app = app
        self._key = InstanceKey.pseudo(app.platform, app.name)
        self._reading = client_of(app.platform).reading
        self._accept_removals = accept_removals
        self._state = PassState()
        self.drift = Drift(number=0, started_at=datetime.now(UTC))

    def run(self) -> Drift:
        """Make the whole pass; what it found to differ."""
        for _ in self.steps():
            pass
        return self.drift

    def steps(self) -> Iterator[None]:
        """The pass, page by page: whoever has other things to do may pause between two."""
        passes = self._desk.passes
        if not passes.begin(self._key):
            raise LeaseLost(f"a pass over {self._key.platform}/{self._key.app} is under way")
        self._state = passes.states([self._key])[0]
        number = self._state.number + 1
        self._state = replace(self._state, number=number, started_at=time.time())
        self.drift = Drift(number=number, started_at=datetime.now(UTC))
        try:
            passes.set(self._key, self._state)
            client = open_client(self._desk, self._app)
            for page in client.instances(pass_number=number):
                if not passes.go_on(self._key):
                    raise LeaseLost("the lease has passed to another")
                self._look_at(page)
                yield
            # The list was whole and agreed with itself: who is not in it, is not there.
            self._look_for_the_vanished()
            self._end()
        finally:
            passes.forget_seen(self._key, number)
            passes.end(self._key)

    def _look_at(self, page: list[Found]) -> None:
        keys = [InstanceKey(self._app.platform, self._app.name, one.account) for one in page]
        lines = self._desk.register.lines(keys)
        for key, found, line in zip(keys, page, lines, strict=True):
            self._compare(key, found.event, line)
        self._desk.passes.see(self._key, self.drift.number, [one.account for one in page])
        self._count(seen=len(page))

    def _compare(self, key: InstanceKey, event: Event, line: Line | None) -> None:
        instance = line.instance if line else None
        known = instance is not None and instance.existence.present is True
        if instance is not None and not self._differs(instance, event):
            self._look_for_secrets(instance, line)
            return
        if not known and not self._state.adopted:
            source = EntrySource.POLL if _polled(event) else EntrySource.RECONCILE
            append_read(self._desk, key, replace(event, adopts=True), instance, source)
            self._count(adopted=1)
            return
        self._count(**{"differing" if known else "missed_installs": 1})
        self._settle(key, event)

    def _differs(self, instance: Instance, event: Event) -> bool:
        """Whether the register would change, were `event` read back now."""
        read = Read(at_version=instance.version, settles=instance.confirm_wanted)
        told = event if _polled(event) else replace(event, read=read)
        arrival = Arrival(delivery=new_delivery_id(instance.key), at=datetime.now(UTC))
        digest = digester(self._desk.ring, instance.key)
        return fold(instance, instance.key, told, arrival, digest).outcome is Outcome.APPLIED

    def _settle(self, key: InstanceKey, event: Event) -> None:
        if _polled(event):
            append_found(self._desk, key, event, EntrySource.POLL)
        else:
            read_back(self._desk, self._app, key)

    def _look_for_the_vanished(self) -> None:
        absent, present = self._absent(), 0
        gone: list[InstanceKey] = []
        for keys in self._desk.register.of_app(self._app.platform, self._app.name):
            there = [
                line.instance
                for line in self._desk.register.lines(keys)
                if line and line.instance.existence.present is True
            ]
            present += len(there)
            names = [one.account for one in there]
            unseen = set(self._desk.passes.unseen(self._key, self.drift.number, names))
            gone += [i.key for i in there if i.account in unseen and self._differs(i, absent)]
        if self._is_held(len(gone), present):
            self._count(held=len(gone))
            return
        for key in gone:
            self._count(missed_removals=1)
            self._settle(key, absent)

    def _absent(self) -> Event:
        event: Event = self._reading.ABSENT
        order = getattr(self._reading, "order_of_pass", None)
        return replace(event, order=order(self.drift.number)) if order else event

    def _is_held(self, gone: int, present: int) -> bool:
        """Whether too many have vanished at once, and nothing yet says that it is true."""
        bounds, since = self._app.removals, self._state.held_since
        if gone < bounds.at_least or gone <= bounds.share * present or self._accept_removals:
            self._state = replace(self._state, held_since=None)
            return False
        if since is not None and time.time() - since >= bounds.hold:
            self._state = replace(self._state, held_since=None)
            return False
        self._state = replace(self._state, held_since=since or time.time())
        return True

    def _look_for_secrets(self, instance: Instance, line: Line | None) -> None:
        sends = getattr(self._reading, "SENDS_SECRETS", False)
        held = [slot.current for slot in instance.secrets.values()]
        if not sends or line is None or any(instance.in_force(secret) for secret in held):
            return
        missing = self.drift.secrets_missing
        if len(missing) < _LISTED_MISSING:
            missing = missing | {str(instance.key): line.updated_at}
        self.drift = replace(self.drift, secrets_missing=missing)
        self._count(secrets_missing_count=1)

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self.drift, name) + number for name, number in more.items()}
        self.drift = replace(self.drift, **counts)

    def _end(self) -> None:
        self.drift = replace(self.drift, ended_at=datetime.now(UTC))
        ended: dict[str, Any] = {"adopted": True, "error": "", "failures": 0, "not_before": 0.0}
        self._state = replace(self._state, drift=self.drift, **ended)
        self._desk.passes.set(self._key, self._state)


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


def due_apps(desk: Desk) -> list[App]:
    """The apps whose next pass is due, unless one is under way."""
    apps = [app for app in desk.config.apps if interval_of(app) is not None]
    states = desk.passes.states([InstanceKey.pseudo(app.platform, app.name) for app in apps])
    now = time.time()
    return [
        app
        for app, state in zip(apps, states, strict=True)
        if now >= max(state.not_before, _next_at(app, state))
    ]


def _next_at(app: App, state: PassState) -> float:
    if state.failures:
        return state.not_before
    if state.number != (state.drift.number if state.drift else 0):
        return 0.0  # a pass is under way, or its process died: the lease tells which
    return state.started_at + (interval_of(app) or 0.0)


def interval_of(app: App) -> float | None:
    """How many seconds lie between two passes; None where there are none."""
    if app.api is None:
        return None
    every: float | None = getattr(app, "poll", None) or getattr(app, "reconcile", None)
    return every


def _polled(event: Event) -> bool:
    """Whether the pass's number orders what it saw."""
    return event.order is not None and event.order.kind is OrderKind.PASS
