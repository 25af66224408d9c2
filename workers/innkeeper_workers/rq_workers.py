"""The RQ workers: one process and one queue each, and nothing that RQ may lose.

A worker on several queues loses a job if it is killed between pop and start; on one queue it does
not. A killed worker's child would run on to its end; here it dies with its parent.
"""

from __future__ import annotations

import logging
import os
import signal
from importlib import import_module
from types import FrameType

from rq import SimpleWorker, Worker
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.worker.base import BaseWorker

from innkeeper import runtime
from innkeeper.bells import ANSWERS, BellJob, BellName, queue_of
from innkeeper.operations.desk import Desk, queue_url
from innkeeper.store.connection import Store
from innkeeper_workers import process

_MAINTENANCE_SECONDS = 20
_WORKER_TTL_SECONDS = 30


class _OurWorker:
    """Stops after the job at hand. A second signal, which may well come, changes nothing."""

    max_connection_wait_time = 1.0
    """Seconds between looks for a queue server that is away; RQ's own grow to a minute."""

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Go on finishing: whoever cannot wait has SIGKILL."""


class InProcessWorker(_OurWorker, SimpleWorker):
    """Runs jobs in its own process: for our own code."""


class ForkingWorker(_OurWorker, Worker):
    """Runs each job in a child: for the vendor's code."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run the job in the child, which does not outlive its parent."""
        runtime.die_with_parent(signal.SIGKILL, parent=self.pid or os.getppid())
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Finish the follow-up when the signal goes to every process; its own children may not."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # A handler, for what is ignored would be ignored by programs that it starts, too.
            signal.signal(number, _finish_first)


def _finish_first(_: int, __: FrameType | None) -> None:
    """Go on: the worker ends after this."""


WORKERS: dict[BellName, type[BaseWorker]] = {
    BellName.APPLY: InProcessWorker,
    BellName.PERFORM: ForkingWorker,
    BellName.MARKETPLACES: InProcessWorker,
}


def work(bell: BellName, desk: Desk) -> None:
    """Answer a bell until SIGTERM. Returns too when RQ's server stays away: start it again."""
    process.hold(desk)
    # Now, not in each child of a forking worker.
    import_module(ANSWERS[bell].rpartition(".")[0])
    logging.getLogger("rq").setLevel(logging.ERROR)
    # A connection of its own: RQ waits for jobs longer than a bell may wait for an answer.
    queue = Store(queue_url(desk.config))
    worker = WORKERS[bell](
        [queue_of(bell, queue)],
        connection=queue.redis,
        job_class=BellJob,
        serializer=JSONSerializer,
        maintenance_interval=_MAINTENANCE_SECONDS,
        worker_ttl=_WORKER_TTL_SECONDS,
        log_job_description=False,
    )
    worker.log_result_lifespan = False
    worker.work(logging_level="ERROR")
