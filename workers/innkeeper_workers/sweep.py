"""The sweep: rings for whatever is due, every second, on as many hosts as one likes.

Whatever a lost bell, a killed worker or a wiped queue server left behind is found here.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from innkeeper.bells import BellName
from innkeeper.operations.desk import Desk
from innkeeper.operations.pass_times import due_apps
from innkeeper_workers.retention import Retention


class Swept(NamedTuple):
    """How many partitions have entries to fold, how many have work due per bell, how many wait."""

    behind: int
    due: dict[str, int]
    stopped: int


def sweep(desk: Desk) -> Swept:
    """Ring every bell for which there is anything to do. Raises StoreError, StoreUnavailable."""
    probes = desk.outbox.probe()
    behind = {partition for partition, probe in enumerate(probes) if probe.behind}
    troubles = desk.troubles.all() if behind else {}
    waiting = {p for p, trouble in troubles.items() if trouble.next_try > time.time()}
    due = {
        bell: sum(probe.due[bell] for probe in probes)
        for bell in (BellName.PERFORM, BellName.MARKETPLACES)
    }
    if behind - waiting:
        desk.bells[BellName.APPLY].ring()
    for bell, count in due.items():
        if count:
            desk.bells[bell].ring()
    if not due[BellName.MARKETPLACES] and (Retention(desk).is_due() or due_apps(desk)):
        desk.bells[BellName.MARKETPLACES].ring()
    stopped = sum(bool(trouble.stopped) for trouble in troubles.values())
    return Swept(len(behind), {str(bell): count for bell, count in due.items()}, stopped)
