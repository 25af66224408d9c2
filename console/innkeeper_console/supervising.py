"""Keeps servers and services running until a signal says stop, and stops them in order.

`up` calls it with what is to run. It must not know what its children do.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Protocol

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
FORGIVEN_AFTER_SECONDS = 30.0

_LOOK_SECONDS = 0.5
_READY_LOOK_SECONDS = 0.02
_SLOW_START_SECONDS = 10.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child(Protocol):
    """What runs under a supervisor: a service or an embedded server."""

    name: str

    def launch(self) -> None: ...  # noqa: D102 - as in processes.Service
    def alive(self) -> bool: ...  # noqa: D102
    def ready(self) -> bool: ...  # noqa: D102
    def how_it_ended(self) -> str: ...  # noqa: D102
    def stop(self) -> None: ...  # noqa: D102


class StopSignals:
    """While its block runs, SIGINT, SIGTERM and SIGHUP only ask to stop; however often they come.

    They wake `pause` at once, and so does the end of a child.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> StopSignals:
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            # Under nohup the terminal may go away.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reading)
        os.close(self._writing)

    def pause(self, seconds: float) -> None:
        """Sleep that long, or until a signal comes. Does not sleep once stopping is asked for."""
        if not self.asked and select.select([self._reading], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 4096)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.asked = True


class Restarts:
    """Launches one child again when it has ended: after 0.2 s, doubling to 5 s.

    Whoever lived for 30 s has the first delay again.
    """

    def __init__(self, child: Child, say: Callable[[str], None]) -> None:
        self.child = child
        self._say = say
        self._launched_at = time.monotonic()
        self._delay_seconds = 0.0
        self._again_at: float | None = None

    def look(self) -> float:
        """Do what is due; returns in how many seconds to look again."""
        now = time.monotonic()
        if self.child.alive():
            return _LOOK_SECONDS
        if self._again_at is None:
            self._again_at = now + self._next_delay(now - self._launched_at)
            self._say(f"{self.child.how_it_ended()}; again in {self._delay_seconds:g} s")
        if now < self._again_at:
            return self._again_at - now
        self._again_at = None
        self._launched_at = now
        try:
            self.child.launch()
        except OSError as error:
            self._say(f"{self.child.name}: {error}")
        return _READY_LOOK_SECONDS

    def _next_delay(self, lived_seconds: float) -> float:
        if lived_seconds >= FORGIVEN_AFTER_SECONDS or not self._delay_seconds:
            self._delay_seconds = FIRST_DELAY_SECONDS
        else:
            self._delay_seconds = min(2 * self._delay_seconds, LONGEST_DELAY_SECONDS)
        return self._delay_seconds


def supervise(
    stages: Sequence[Sequence[Child]],
    signals: StopSignals,
    *,
    say: Callable[[str], None],
    when_ready: Callable[[], None],
) -> None:
    """Run the stages' children, each stage once the one before it is ready, until a stop signal.

    At the end, however it comes, the last stage is stopped first, and the children of a stage in
    their order, each waited for. Raises EndedEarly (and OSError, from a launch) if one cannot
    start; whoever ends later is started again.
    """
    with contextlib.ExitStack() as to_stop:
        for stage in stages:
            # Last in is first out: so a stage is put in from its end.
            for child in reversed(stage):
                to_stop.callback(child.stop)
                child.launch()
            _wait_until_ready(stage, signals, say)
        if not signals.asked:
            when_ready()
        restarts = [Restarts(child, say) for stage in stages for child in stage]
        while not signals.asked:
            signals.pause(min(each.look() for each in restarts))


def _wait_until_ready(
    stage: Sequence[Child], signals: StopSignals, say: Callable[[str], None]
) -> None:
    slow_at = time.monotonic() + _SLOW_START_SECONDS
    waiting = list(stage)
    while waiting and not signals.asked:
        waiting = [child for child in waiting if not child.ready()]
        if waiting and time.monotonic() > slow_at:
            say("still waiting for " + ", ".join(child.name for child in waiting))
            slow_at = float("inf")
        signals.pause(_READY_LOOK_SECONDS)
