"""Makes the passes that are due, a bit of each in turn, so that what is urgent comes between.

Used by the marketplaces job. A pass that breaks off begins again later; what it has settled so far
stays settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from innkeeper.config import App
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk
from innkeeper.operations.pass_times import due_apps, note_failure
from innkeeper.operations.reconcile import LeaseLost, Pass
from innkeeper.platforms.api_errors import ApiError

log = get_logger()


class _Running(NamedTuple):
    app: App
    made: Pass
    steps: Iterator[None]


class Reconciling:
    """The passes of one process: at most one of each app, side by side."""

    def __init__(self, desk: Desk) -> None:
        """Work with `desk`."""
        self._desk = desk
        self._running: deque[_Running] = deque()

    def look(self) -> bool:
        """Go a bit further in one pass, begun now if it is due; False if there was none.

        Raises StoreError, StoreUnavailable.
        """
        self._begin()
        return any(self._go_on(self._running.popleft()) for _ in range(len(self._running)))

    def _begin(self) -> None:
        under_way = {(one.app.platform, one.app.name) for one in self._running}
        for app in due_apps(self._desk):
            if (app.platform, app.name) not in under_way:
                made = Pass(self._desk, app)
                self._running.append(_Running(app, made, made.steps()))

    def _go_on(self, running: _Running) -> bool:
        """A bit further; False where another process is at it, for that may go on for long."""
        try:
            next(running.steps)
        except StopIteration:
            self._tell(running)
        except LeaseLost:
            return False
        except ApiError as error:
            self._break_off(running, error)
        else:
            self._running.append(running)
        return True

    def _break_off(self, running: _Running, error: ApiError) -> None:
        state = note_failure(self._desk, running.app, error)
        log.warning(
            "pass.broke_off",
            platform=running.app.platform,
            app=running.app.name,
            number=state.number,
            failures=state.failures,
            error=state.error,
        )

    def _tell(self, running: _Running) -> None:
        drift = msgspec.to_builtins(running.made.drift)
        missing = {"secrets_missing": drift.pop("secrets_missing_count", 0)}
        log.info(
            "pass.ended", platform=running.app.platform, app=running.app.name, **drift | missing
        )
