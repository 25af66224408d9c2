"""Reconcile: goes through a marketplace's list page by page and mends what the register has missed.

Run by the marketplaces job when due, and by `innkeeper reconcile`. The first full pass of an app in
a store adopts who is there already. Later, a difference is settled by reading the instance back;
where a pass's number orders what it saw (a polled marketplace), what it saw is the fact itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from innkeeper.config import App
from innkeeper.lifecycle.events import Event, Flags, InstanceKey, Read
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.machine import Arrival, Folded, Outcome, fold
from innkeeper.lifecycle.order import OrderKind
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import rfc3339
from innkeeper.operations.reading import append_found, append_read, open_client, read_back
from innkeeper.platforms import client_of
from innkeeper.platforms.calls import Found
from innkeeper.store.entry import EntrySource, new_delivery_id
from innkeeper.store.passes import Drift, PassState
from innkeeper.store.register import Line

_LISTED_MISSING = 100


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

    def steps(self) -> Generator[None, None, None]:
        """The pass, bit by bit: whoever has other things to do may pause between two."""
        passes = self._desk.passes
        if not passes.begin(self._key):
            raise LeaseLost(f"a pass over {self._key.platform}/{self._key.app} is under way")
        self._state = passes.states([self._key])[0]
        number = self._state.number + 1
        self._state = replace(self._state, number=number, started_at=time.time())
        self.drift = Drift(number=number, started_at=datetime.now(UTC))
        try:
            passes.set(self._key, self._state)
            with passes.kept(self._key):
                for _ in self._bits():
                    yield
                    # A process that was stopped, or a store that was away, may have cost the lease.
                    if not passes.go_on(self._key):
                        raise LeaseLost("the lease has passed to another")
            self._end()
        finally:
            passes.forget_seen(self._key, number)
            passes.end(self._key)

    def _bits(self) -> Iterator[None]:
        client = open_client(self._desk, self._app)
        for page in client.instances(pass_number=self.drift.number):
            yield from self._look_at(page)
        # The list was whole and agreed with itself: who is not in it, is not there.
        yield from self._look_for_the_vanished()

    def _look_at(self, page: list[Found]) -> Iterator[None]:
        self._desk.passes.see(self._key, self.drift.number, [one.account for one in page])
        self._count(seen=len(page))
        keys = [InstanceKey(self._app.platform, self._app.name, one.account) for one in page]
        lines = self._desk.register.lines(keys)
        for key, found, line in zip(keys, page, lines, strict=True):
            if self._compare(key, found.event, line):
                yield
        yield

    def _compare(self, key: InstanceKey, event: Event, line: Line | None) -> bool:
        """Compare one; whether the marketplace was asked about it."""
        instance = line.instance if line else None
        foreseen = self._foreseen(instance, event) if instance else None
        self._look_for_secrets(key, line, foreseen.instance if foreseen else None)
        if foreseen is not None and foreseen.outcome is not Outcome.APPLIED:
            return False
        if not self._state.adopted and _is_new_to_us(instance):
            source = EntrySource.POLL if _polled(event) else EntrySource.RECONCILE
            append_read(self._desk, key, replace(event, adopts=True), instance, source)
            self._count(adopted=1)
            return False
        known = instance is not None and instance.existence.present is True
        self._count(**{"differing" if known else "missed_installs": 1})
        return self._settle(key, event)

    def _foreseen(self, instance: Instance, event: Event) -> Folded:
        """What would become of the register, were `event` read back now."""
        read = Read(at_version=instance.version, settles=instance.confirm_wanted)
        told = event if _polled(event) else replace(event, read=read)
        arrival = Arrival(delivery=new_delivery_id(instance.key), at=datetime.now(UTC))
        digest = self._desk.digests.of(instance.key)
        return fold(instance, instance.key, told, arrival, digest)

    def _differs(self, instance: Instance, event: Event) -> bool:
        return self._foreseen(instance, event).outcome is Outcome.APPLIED

    def _settle(self, key: InstanceKey, event: Event, *, listed: bool = True) -> bool:
        """Have a difference enter the log; whether the marketplace was asked again for that."""
        if _polled(event):
            # What a single read has set meanwhile is changed only through another one.
            append_found(self._desk, key, replace(event, confirmable=True), EntrySource.POLL)
            return False
        read_back(self._desk, self._app, key, object_id=event.object_id, by_list=listed)
        return True

    def _look_for_the_vanished(self) -> Iterator[None]:
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
            yield
        if self._is_held(len(gone), present):
            self._count(held=len(gone))
            return
        for key in gone:
            self._count(missed_removals=1)
            if self._settle(key, absent, listed=False):
                yield

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

    def _look_for_secrets(
        self, key: InstanceKey, line: Line | None, instance: Instance | None
    ) -> None:
        """`instance`: as it will be, for who has installed anew has none of what was there."""
        has_secrets = instance is not None and instance.has_secrets
        if has_secrets or not getattr(self._reading, "SENDS_SECRETS", False):
            return
        missing = self.drift.secrets_missing
        if len(missing) < _LISTED_MISSING:
            since = line.updated_at if line else self.drift.started_at
            missing = missing | {str(key): since}
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


def drift_document(drift: Drift) -> dict[str, Any]:
    """What a pass found to differ, every count of it; `secrets_missing`: since when, by key."""
    document = msgspec.structs.asdict(drift)
    times = {
        name: drift_time for name in ("started_at", "ended_at") if (drift_time := document[name])
    }
    missing = {key: rfc3339(since) for key, since in sorted(drift.secrets_missing.items())}
    return document | {n: rfc3339(at) for n, at in times.items()} | {"secrets_missing": missing}


def _is_new_to_us(instance: Instance | None) -> bool:
    """Whether the register knows nothing of it that a page, asked for a moment ago, could undo."""
    if instance is None or instance.existence.present is None:
        return True
    imported = instance.existence.adopted and instance.flags == Flags()
    return imported and instance.existence.present is True


def _polled(event: Event) -> bool:
    """Whether the pass's number orders what it saw."""
    return event.order is not None and event.order.kind is OrderKind.PASS
