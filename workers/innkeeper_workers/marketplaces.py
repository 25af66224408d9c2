"""The marketplaces job: what is to be done with marketplaces, and old entries dropped."""

from __future__ import annotations

from collections.abc import Callable

from innkeeper.bells import BellName
from innkeeper.operations.desk import Desk
from innkeeper_workers import handshake, process
from innkeeper_workers.performing import Performing
from innkeeper_workers.retention import Retention


def answer() -> None:
    """The RQ job: do what is due until nothing is."""
    process.answer(BellName.MARKETPLACES, _look_of, linger=False)


def _look_of(desk: Desk) -> Callable[[], bool]:
    performing = Performing(desk, BellName.MARKETPLACES, handshake.task_of)
    retention = Retention(desk)

    def look() -> bool:
        retention.run_when_due()
        return performing.look()

    return look
