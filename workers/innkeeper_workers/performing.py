"""Takes the head of a lane, does it, and settles it: done, later, or a dead letter.

Used by the perform and the marketplaces jobs, which differ in what they can do.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from innkeeper.bells import BellName
from innkeeper.lifecycle.errors import Permanent, Temporary
from innkeeper.lifecycle.follow_ups import next_delay
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk
from innkeeper.secrets import Damaged, MissingKey
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.outbox import Taken, Work
from innkeeper_workers.leases import TimeIsUp, held
from innkeeper_workers.redaction import redacted

_MISSING_KEY_SECONDS = 10.0
_MOST_LOST = 10
log = get_logger()


class Task(NamedTuple):
    """What to do for a piece of work: `run` raises Temporary, Permanent or anything else.

    `block`: given up, it holds its lane. `for_ever`: it is given up only as Permanent.
    """

    run: Callable[[], None]
    limit_seconds: float
    block: bool = False
    for_ever: bool = False


_NO_TASK = Task(lambda: None, 0.0)
Prepare = Callable[[Desk, Taken], Task]


class Performing:
    """Does the work behind one bell."""

    def __init__(self, desk: Desk, bell: BellName, prepare: Prepare) -> None:
        """`prepare` makes a task of what was taken; it may raise as the task itself may."""
        self._desk = desk
        self._bell = bell
        self._prepare = prepare

    def look(self) -> bool:
        """Do one piece of work that is due; False when there is none."""
        due = [p for p, probe in enumerate(self._desk.outbox.probe()) if probe.due[self._bell]]
        random.shuffle(due)
        for partition in due:
            taken = self._desk.outbox.take(partition, self._bell)
            if taken is None:
                continue
            if taken.more or len(due) > 1:
                # This one may take long: have somebody else look at the rest.
                self._desk.bells[self._bell].ring()
            self._do(taken)
            return True
        return False

    def _do(self, taken: Taken) -> None:
        started = time.perf_counter()
        verdict, error = self._verdict(taken)
        work = taken.state.work
        told = {"error": error} if error else {}
        log.info(
            "follow_up.performed",
            name=work.name,
            instance=str(work.instance),
            transition=work.transition.id if work.transition else None,
            idempotency_key=work.id,
            attempt=taken.state.attempts,
            verdict=verdict,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
            **told,
        )

    def _verdict(self, taken: Taken) -> tuple[str, str]:
        """Do the work and settle it; the verdict, and the error if there was one."""
        outbox, task = self._desk.outbox, _NO_TASK
        try:
            task = self._prepare(self._desk, taken)
            if taken.state.lost >= _MOST_LOST and not task.for_ever:
                raise Permanent(f"{taken.state.lost} attempts ended with their process")
            with held(outbox, taken, task.limit_seconds, partial(self._hung, taken, task)):
                task.run()
        except (StoreError, StoreUnavailable):
            raise
        except MissingKey as error:
            # Nothing is wrong with the work: it waits until the key is in the ring again.
            text = f"MissingKey: {error}"
            return _settled(outbox.later(taken, _MISSING_KEY_SECONDS, text), "later"), text
        except BaseException as error:
            # TimeIsUp, and whatever a follow-up raises: sys.exit() fails like anything else.
            return self._failed(taken, error, task)
        return _settled(outbox.done(taken), "done"), ""

    def _failed(self, taken: Taken, error: BaseException, task: Task) -> tuple[str, str]:
        state, now = taken.state, datetime.now(UTC)
        asked = error.delay_seconds if isinstance(error, Temporary) else None
        age = (now - state.first_at).total_seconds() if state.first_at else 0.0
        delay = next_delay(state.attempts, 0.0 if task.for_ever else age, asked)
        if isinstance(error, Permanent | Damaged):
            delay = None
        text = self._redacted(state.work, _summary(error))[:500]
        if delay is not None:
            return _settled(self._desk.outbox.later(taken, delay, text), "later"), text
        detail = self._redacted(state.work, "".join(traceback.format_exception(error)))
        if not self._desk.outbox.dead(taken, text, detail, block=task.block, now=now):
            return _settled(False, "dead"), text
        log.error(
            "dead_letter.added",
            partition=taken.partition,
            delivery=state.work.delivery,
            instance=str(state.work.instance),
            name=state.work.name,
            error=text,
        )
        return "dead", text

    def _hung(self, taken: Taken, task: Task) -> None:
        self._failed(taken, TimeIsUp("it hung and was killed"), task)

    def _redacted(self, work: Work, text: str) -> str:
        line = self._desk.register.line(work.instance)
        try:
            secrets = self._desk.register.secrets(line.instance) if line else {}
        except (MissingKey, Damaged):
            return "[withheld: the secrets that may stand in it cannot be read now]"
        return redacted(text, self._desk.config, secrets)


def _settled(counted: bool, verdict: str) -> str:
    return verdict if counted else "lease lost"


def _summary(error: BaseException) -> str:
    if isinstance(error, TimeIsUp):
        return str(error) or "its time was up"
    return f"{type(error).__name__}: {error}"
