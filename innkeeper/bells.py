"""Bells: RQ jobs that only say "look now", and the one loop that answers them.

Rung by receivers, workers and the sweep. A bell may be lost or doubled; what is due is known by
the store alone, and the sweep rings again within a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from rq import Queue, Retry, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from innkeeper.store.connection import Store, translated
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.wake import Wake

_WORK_SECONDS = 2.0
_LINGER_SECONDS = 1.0
_LOOK_SECONDS = 0.01
_JOB_TTL_SECONDS = 60
_ALIVE_SECONDS = 45.0
"""Longer than an idle worker is silent: it says that it lives every 15 s."""


class BellName(StrEnum):
    """The bells, each with a queue and workers of its own."""

    APPLY = "apply"
    PERFORM = "perform"
    MARKETPLACES = "marketplaces"


ANSWERS = {
    BellName.APPLY: "innkeeper_workers.apply.answer",
    BellName.PERFORM: "innkeeper_workers.perform.answer",
    BellName.MARKETPLACES: "innkeeper_workers.marketplaces.answer",
}
"""The function that answers each bell: the only ones that a job may name."""


class BellJob(Job):
    """A job that can name nothing but an answer to a bell, without arguments or callbacks.

    RQ imports and calls whatever a job names: whoever can write to the queue server could run
    anything, were it not for this.
    """

    @property
    def func(self) -> Any:
        """The function to call. Raises PermissionError for any that is no answer."""
        if self.func_name not in ANSWERS.values() or self.args or self.kwargs:
            raise PermissionError(f"not an answer to a bell: {self.func_name!r:.80}")
        return super().func

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Send none: a job may name any address, and this one need not be guarded."""


def queue_of(bell: BellName, queue: Store) -> Queue:
    """The RQ queue of a bell."""
    return Queue(
        f"innkeeper-{bell}", connection=queue.redis, serializer=JSONSerializer, job_class=BellJob
    )


def live_workers(bell: BellName, queue: Store) -> int:
    """How many RQ workers answer a bell, on whatever host. Raises StoreError, StoreUnavailable."""
    answering = queue_of(bell, queue)
    with translated():
        found = Worker.all(queue=answering, job_class=BellJob, serializer=JSONSerializer)
    # One that was killed is listed until its key runs out, a minute after it would have stopped.
    oldest = datetime.now(UTC) - timedelta(seconds=_ALIVE_SECONDS)
    return sum(one.last_heartbeat is not None and one.last_heartbeat >= oldest for one in found)


class Bell:
    """One bell. Ringing never raises: what a lost ring leaves, the sweep finds."""

    def __init__(self, name: BellName, queue: Store) -> None:
        """Use the queue server."""
        self._name = name
        self._wake = Wake(queue, name)
        self._queue = queue_of(name, queue)

    def ring(self) -> bool:
        """Ask for a look, unless one is asked for already; False if the bell could not be rung."""
        try:
            if self._wake.raise_flag():
                self._send()
        except (StoreError, StoreUnavailable):
            return False
        return True

    def answer(self, look: Callable[[], bool], *, linger: bool) -> None:
        """Look for work until there is none, or for about 2 s; then ring for the next.

        `look`: does a piece of work, and says whether there may be more. `linger`: stay a second
        longer and listen, so that a trickle of work does not cost a job each.
        """
        ends = time.monotonic() + _WORK_SECONDS
        self._wake.lower_flag()
        while look():
            if time.monotonic() > ends:
                self.ring()
                return
        if linger and self._linger(look):
            self.ring()

    def _linger(self, look: Callable[[], bool]) -> bool:
        """Whether the flag was up at the end, with nobody on the way to see it."""
        ends = time.monotonic() + _LINGER_SECONDS
        while time.monotonic() < ends:
            if self._wake.listen():
                self._wake.lower_flag()
                while look() and time.monotonic() < ends + _WORK_SECONDS:
                    continue
            time.sleep(_LOOK_SECONDS)
        if not self._wake.leave():
            return False
        self._wake.lower_flag()
        return True

    def _send(self) -> None:
        # A random id, results dropped; a killed job is retried, and made good by the sweep anyway.
        with translated():
            self._queue.enqueue(
                ANSWERS[self._name],
                result_ttl=0,
                failure_ttl=0,
                ttl=_JOB_TTL_SECONDS,
                job_timeout=-1,
                retry=Retry(max=1),
            )
