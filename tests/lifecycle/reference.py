"""The reference model: sort what was said by its order key, then fold it as naively as can be.

Written apart from the machine and sharing no rule with it. It knows every event of a history at
once, which the machine never does; where all keys are of one kind, both must end alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from innkeeper.lifecycle.events import Event, EventKind, Flags, SigningPolicy

_FLAGS = ("disabled", "suspended", "enabled_by_customer", "phase")


@dataclass
class Model:
    """An instance in whose events nothing was out of order."""

    present: bool | None = None
    object_id: str | None = None
    said_yes: bool = False
    floor: int = -1
    flags: dict[str, Any] = field(default_factory=lambda: dict.fromkeys(_FLAGS, UNSET))
    secrets: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    policies: list[tuple[int, SigningPolicy]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The status as the design has it."""
        if self.present is False:
            return "removed"
        yes = self.flags["enabled_by_customer"]
        if self.flags["disabled"] is True or (yes is False and self.said_yes):
            return "disabled"
        if self.flags["suspended"] is True:
            return "suspended"
        if self.present is None or yes in (UNSET, False):
            return "pending"
        return "enabled"

    @property
    def in_force(self) -> dict[str, Any]:
        """The newest value of each secret, where it is of the present installation."""
        newest = {name: values[-1] for name, values in self.secrets.items()}
        return {name: value for name, (key, value) in newest.items() if key > self.floor}

    @property
    def policy_in_force(self) -> str | None:
        """The fingerprint of the newest policy, where it is of the present installation."""
        if not self.policies or self.policies[-1][0] <= self.floor:
            return None
        return self.policies[-1][1].fingerprint

    def previous(self, name: str) -> Any:
        """The newest value of a secret that is another than the newest of all."""
        newest = self.secrets[name][-1][1]
        others = [value for _, value in self.secrets[name] if value != newest]
        return others[-1] if others else None


def fold_sorted(events: Iterable[Event]) -> Model:
    """The model after these events, whose keys are all of one kind."""
    model = Model()
    for event in sorted(events, key=_key):
        _take(model, event)
    return model


def _key(event: Event) -> int:
    assert event.order is not None
    return event.order.value


def _take(model: Model, event: Event) -> None:
    if event.kind is EventKind.REMOVED:
        model.present, model.object_id = False, event.object_id
        model.said_yes, model.floor = False, _key(event)
    if event.kind is EventKind.STATED:
        if not model.present or model.object_id != event.object_id:
            model.flags = dict.fromkeys(_FLAGS, UNSET)
            model.said_yes = False
        model.present, model.object_id = True, event.object_id
        _overlay(model, event.flags or Flags())
    for name, value in event.secrets.items():
        model.secrets.setdefault(name, []).append((_key(event), value))
    if event.policy is not None:
        model.policies.append((_key(event), event.policy))


def _overlay(model: Model, flags: Flags) -> None:
    said = {name: getattr(flags, name) for name in _FLAGS}
    model.flags |= {name: value for name, value in said.items() if value is not UNSET}
    model.said_yes = model.said_yes or flags.enabled_by_customer is True
