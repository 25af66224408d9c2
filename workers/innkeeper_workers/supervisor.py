"""What `innkeeper worker` runs: a parent that sweeps, and its children, one RQ worker each.

A child that ends is started again, with growing pauses. SIGTERM: every child finishes what it has
in hand; who takes longer than 30 s is killed, and the work is taken up by another. While the store
cannot be trusted, there are no children.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import NoReturn

from innkeeper import runtime
from innkeeper.bells import BellName
from innkeeper.config import Config
from innkeeper.logs import get_logger, set_up_logs
from innkeeper.operations import epochs
from innkeeper.operations.desk import Desk, wait_for_desk
from innkeeper.store import schema, trust
from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable
from innkeeper_workers.rq_workers import work
from innkeeper_workers.sweep import sweep

_SWEEP_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0
_STEADY_SECONDS = 30.0
log = get_logger()


@dataclass(slots=True)
class _Child:
    """One child process, or the pause before it is started again."""

    bell: BellName
    pid: int | None = None
    started_at: float = 0.0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    start_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """The parent."""

    desk: Desk
    children: list[_Child] = field(default_factory=list)
    stopping: bool = False
    epoch: str | None = None
    inspections: trust.Inspections = field(default_factory=trust.Inspections)
    distrust: str | None = None
    store_away: bool = False

    def run(self) -> None:
        """Sweep and watch over the children until a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        performs = [BellName.PERFORM] * self.desk.config.workers.perform
        bells = [BellName.APPLY, *performs, BellName.MARKETPLACES]
        self.children = [_Child(bell) for bell in bells]
        next_sweep = 0.0
        while not self.stopping:
            self._reap()
            if time.monotonic() >= next_sweep:
                self._sweep()
                next_sweep = time.monotonic() + _SWEEP_SECONDS
            self._start()
            time.sleep(_LOOK_SECONDS)
        self._end()

    def _stop(self, _: int, __: FrameType | None) -> None:
        self.stopping = True

    def _start(self) -> None:
        if self.distrust is not None:
            return
        for child in self.children:
            if child.pid is None and time.monotonic() >= child.start_at and not self.stopping:
                child.started_at = time.monotonic()
                child.pid = _fork(child.bell, self.desk)

    def _reap(self) -> None:
        for child in (c for c in self.children if c.pid is not None):
            pid, status = os.waitpid(child.pid or 0, os.WNOHANG)
            if pid == 0:
                continue
            now = time.monotonic()
            if now - child.started_at > _STEADY_SECONDS:
                child.pause_seconds = _FIRST_PAUSE_SECONDS
            if not self.stopping and self.distrust is None:
                log.warning("worker.ended", bell=child.bell, pid=pid, status=status)
            child.pid, child.start_at = None, now + child.pause_seconds
            child.pause_seconds = min(child.pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def _sweep(self) -> None:
        was_right = self.distrust is None and not self.store_away
        try:
            seen = schema.read_sighting(self.desk.store.attempt(schema.SIGHTING_COMMANDS))
            self._look_at_trust(seen.run)
            if self.distrust is None:
                sweep(self.desk)
                self._look_at_epoch(seen.epoch)
        except (StoreError, StoreUnavailable) as error:
            if not self.store_away:
                log.error("store.state", state=f"unavailable: {error}")
            self.store_away = True
            self.inspections.interrupted()
            return
        self.store_away = False
        if self.distrust is None and not was_right:
            log.info("store.state", state="ok")

    def _look_at_trust(self, run: str) -> None:
        """End the children while the store is wrong; what is wrong is looked at in each sweep."""
        if not self.inspections.is_due(run):
            return
        reason = trust.refusal(trust.inspect(self.desk.store, self.desk.config.store.durability))
        if reason is None:
            self.inspections.passed(run)
        elif reason != self.distrust:
            log.error("store.untrusted", reason=reason)
            self._signal(signal.SIGTERM)
        self.distrust = reason

    def _look_at_epoch(self, epoch: str | None) -> None:
        epoch = epoch or schema.prepare(self.desk.store)
        if epoch != self.epoch:
            epochs.notice(self.desk.config.data, self.epoch, epoch)
        self.epoch = epoch

    def _end(self) -> None:
        ends = time.monotonic() + _STOP_SECONDS
        self._signal(signal.SIGTERM)
        while time.monotonic() < ends and any(c.pid is not None for c in self.children):
            self._reap()
            time.sleep(0.02)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for child in self.children:
            if child.pid is not None:
                os.kill(child.pid, number)


def run(config: Config) -> None:
    """Run the workers until a signal. Exits 1 with the reason if the store must not be used."""
    set_up_logs("worker")
    try:
        desk = wait_for_desk(config, refuse_untrusted=True)
    except StoreRefused as error:
        sys.exit(f"innkeeper worker: {error}")
    Supervisor(desk).run()


def _fork(bell: BellName, desk: Desk) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    _be_child(bell, desk, parent)


def _be_child(bell: BellName, desk: Desk, parent: int) -> NoReturn:
    """The child's whole life. It never returns into the parent's code."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        runtime.die_with_parent(signal.SIGTERM, parent=parent)
        if bell is BellName.PERFORM:
            _import_follow_ups(desk.config)
        work(bell, desk)
        code = 0
    except Exception as error:
        log.error("worker.failed", bell=bell, error=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _import_follow_ups(config: Config) -> None:
    """Import the vendor's code once, so that no follow-up pays for it."""
    for name in {f.call.partition(":")[0] for f in config.follow_ups if f.call}:
        try:
            import_module(name)
        except Exception as error:
            log.error("follow_up.not_importable", module=name, error=f"{error}"[:500])
