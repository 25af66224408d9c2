"""The perform job: runs the vendor's follow-ups, called or posted, in a process of their own."""

from __future__ import annotations

from innkeeper.bells import BellName
from innkeeper.config import FollowUp
from innkeeper.lifecycle.errors import Permanent
from innkeeper.operations.desk import Desk
from innkeeper.store.outbox import Taken
from innkeeper_workers import process
from innkeeper_workers.calling import call
from innkeeper_workers.performing import Performing, Task
from innkeeper_workers.posting import post


def answer() -> None:
    """The RQ job: do what is due until nothing is."""
    bell = BellName.PERFORM
    process.answer(bell, lambda desk: Performing(desk, bell, task_of).look, linger=False)


def task_of(desk: Desk, taken: Taken) -> Task:
    """The follow-up that a piece of work names. Raises Permanent if nobody has it configured."""
    work = taken.state.work
    follow_up = _configured(desk, work.name)
    if follow_up is None:
        raise Permanent(f"no follow-up named {work.name!r} is configured any more")
    line = desk.register.line(work.instance)

    def run() -> None:
        if follow_up.call:
            call(desk, follow_up.call, taken, line)
        else:
            post(desk, follow_up, taken, line)

    return Task(run, follow_up.timeout, block=follow_up.on_failure == "block")


def _configured(desk: Desk, name: str) -> FollowUp | None:
    return next((f for f in desk.config.follow_ups if f.name == name), None)
