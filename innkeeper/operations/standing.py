"""The figures for whoever is on call, as the store has them: one answer, in one round trip.

Asked by the console's metrics and by doctor. Knows no format.
"""

from __future__ import annotations

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.operations.pass_times import with_passes
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.passes import PassState, read_states, state_commands
from innkeeper.store.standing import Standing, read_standing, standing_commands


class AppStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a configured app stands; times in seconds since the epoch.

    `heard_at`: when its last delivery came in. `passes`: of its list; None where there are none.
    """

    platform: str
    app: str
    heard_at: float | None = None
    passes: PassState | None = None

    @property
    def held(self) -> int:
        """How many removals are held."""
        drift = self.passes.drift if self.passes else None
        return drift.held if drift and self.passes and self.passes.held_since else 0

    @property
    def secrets_missing(self) -> int:
        """How many customers are there whose secrets we do not have."""
        drift = self.passes.drift if self.passes else None
        return drift.secrets_missing_count if drift else 0

    @property
    def passed_at(self) -> float | None:
        """When the last pass ended."""
        drift = self.passes.drift if self.passes else None
        return drift.ended_at.timestamp() if drift and drift.ended_at else None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The store as a whole, and each configured app."""

    standing: Standing
    apps: tuple[AppStanding, ...]


def figures_of(desk: Desk) -> Figures:
    """How everything stands. Raises StoreError, StoreUnavailable."""
    apps = desk.config.apps
    keys = [InstanceKey.pseudo(app.platform, app.name) for app in with_passes(apps)]
    answers = desk.store.batch([*standing_commands(), *state_commands(keys)])
    standing = read_standing(answers[: len(PARTITIONS)])
    states = dict(zip(keys, read_states(answers[len(PARTITIONS) :]), strict=True))
    return Figures(
        standing=standing,
        apps=tuple(
            AppStanding(
                platform=app.platform,
                app=app.name,
                heard_at=standing.heard.get(f"{app.platform}/{app.name}"),
                passes=states.get(InstanceKey.pseudo(app.platform, app.name)),
            )
            for app in apps
        ),
    )
