"""Makes the passes that are due, a page at a time, so that what is urgent comes between.

Used by the marketplaces job. A pass that breaks off begins again later; what it has settled so far
stays settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from innkeeper.config import App
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk
from innkeeper.operations.reconcile import LeaseLost, Pass, due_apps, note_failure
from innkeeper.platforms.api_errors import ApiError

log = get_logger()


class _Running(NamedTuple):
    app: App
    made: Pass
    steps: Iterator[None]


class Reconciling:
    """The passes of one process: one at a time."""

    def __init__(self, desk: Desk) -> None:
        """Work with `desk`."""
        self._desk = desk
        self._running: _Running | None = None

    def look(self) -> bool:
        """Go a page further in the pass under way, or begin one that is due; False if none is.

        Raises StoreError, StoreUnavailable.
        """
        running = self._running or self._next()
        self._running = None
        if running is None:
            return False
        try:
            next(running.steps)
        except StopIteration:
            self._tell(running)
        except LeaseLost:
            return False
        except ApiError as error:
            state = note_failure(self._desk, running.app, error)
            log.warning(
                "pass.broke_off",
                platform=running.app.platform,
                app=running.app.name,
                number=state.number,
                failures=state.failures,
                error=state.error,
            )
        else:
            self._running = running
        return True

    def _next(self) -> _Running | None:
        for app in due_apps(self._desk):
            made = Pass(self._desk, app)
            return _Running(app, made, made.steps())
        return None

    def _tell(self, running: _Running) -> None:
        drift = msgspec.to_builtins(running.made.drift)
        missing = {"secrets_missing": drift.pop("secrets_missing_count", 0)}
        log.info(
            "pass.ended", platform=running.app.platform, app=running.app.name, **drift | missing
        )
