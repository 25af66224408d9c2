"""The marketplaces job: what is to be done with marketplaces, and old entries dropped."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from innkeeper.bells import BellName
from innkeeper.operations.desk import Desk
from innkeeper.store.outbox import Taken, WorkKind
from innkeeper_workers import handshake, process
from innkeeper_workers.confirm import Confirming
from innkeeper_workers.performing import Performing, Task
from innkeeper_workers.reconciling import Reconciling
from innkeeper_workers.retention import Retention


def answer() -> None:
    """The RQ job: do what is due until nothing is."""
    process.answer(BellName.MARKETPLACES, _look_of, linger=False)


def task_of(desk: Desk, taken: Taken) -> Task:
    """What a piece of work in the platform lane asks for."""
    if taken.state.work.kind is WorkKind.CONFIRM:
        return _confirming(desk).task_of(taken)
    return handshake.task_of(desk, taken)


def _look_of(desk: Desk) -> Callable[[], bool]:
    performing = Performing(desk, BellName.MARKETPLACES, task_of)
    retention, reconciling = Retention(desk), _reconciling(desk)

    def look() -> bool:
        retention.run_when_due()
        # In turns: neither may a flood of hints hold up the passes, nor they the hints.
        performed = performing.look()
        return reconciling.look() or performed

    return look


@lru_cache(maxsize=1)
def _reconciling(desk: Desk) -> Reconciling:
    """The passes of this process, which go on from job to job."""
    return Reconciling(desk)


@lru_cache(maxsize=1)
def _confirming(desk: Desk) -> Confirming:
    """What this process remembers of its reads, from job to job."""
    return Confirming(desk)
