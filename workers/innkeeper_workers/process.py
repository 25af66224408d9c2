"""The desk of this process: what an RQ job, which gets no arguments, works with.

Set once by the worker's entry, before the first job.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from innkeeper.bells import BellName
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk

_held: list[Desk] = []
log = get_logger()


def hold(desk: Desk) -> None:
    """Give this process its desk."""
    _held[:] = [desk]


def answer(bell: BellName, look_of: Callable[[Desk], Callable[[], bool]], *, linger: bool) -> None:
    """Answer a bell with the desk of this process.

    Nothing is raised: what failed is still due, and the sweep rings for it again.
    """
    if not _held:
        raise LookupError("this process holds no desk: a job ran outside `innkeeper worker`")
    desk = _held[0]
    try:
        desk.bells[bell].answer(look_of(desk), linger=linger)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        text = f"{type(error).__name__}: {error}"[:500]
        log.error("job.failed", bell=bell, error=text, where=where)
