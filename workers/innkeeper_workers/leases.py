"""Holding a lane while its head is being done: the lease is renewed, and the time limit kept.

A follow-up is somebody else's code: it may hang where no exception reaches it. Then this process
is ended, and the work, settled first, is tried again by another.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from innkeeper.logs import get_logger
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.outbox import LEASE_SECONDS, Outbox, Taken

_RENEW_SECONDS = LEASE_SECONDS / 3
_GRACE_SECONDS = 5.0
log = get_logger()


class TimeIsUp(BaseException):
    """The time limit has passed. No `except Exception` of a follow-up's can swallow it."""


@contextmanager
def held(
    outbox: Outbox, taken: Taken, limit_seconds: float, on_hang: Callable[[], None]
) -> Iterator[None]:
    """Hold the lease for the block; raises TimeIsUp in it after the limit.

    Where that has no effect within 5 s, `on_hang` is called and the process ends. For the main
    thread of a process of its own.
    """
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(outbox, taken, limit_seconds, ended, on_hang), daemon=True
    )
    before = signal.signal(signal.SIGALRM, _time_is_up)
    watcher.start()
    signal.setitimer(signal.ITIMER_REAL, limit_seconds)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # the alarm may come just here, too
    finally:
        signal.signal(signal.SIGALRM, before)
        ended.set()
        watcher.join()


def _time_is_up(_: int, __: FrameType | None) -> Any:
    raise TimeIsUp


def _watch(
    outbox: Outbox,
    taken: Taken,
    limit_seconds: float,
    ended: threading.Event,
    on_hang: Callable[[], None],
) -> None:
    left = limit_seconds + _GRACE_SECONDS
    while not ended.wait(min(_RENEW_SECONDS, left)):
        left -= _RENEW_SECONDS
        if left <= 0:
            try:
                on_hang()
            finally:
                os._exit(1)
        try:
            if not outbox.renew(taken):
                log.warning("lease.lost", lane=taken.lane, work=taken.state.work.id)
                return
        except (StoreError, StoreUnavailable) as error:
            log.warning("lease.not_renewed", lane=taken.lane, error=str(error))
