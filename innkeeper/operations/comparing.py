"""Names what differs between two records of an instance, field by field.

Used by `rebuild`. A record holds no secret's value: secrets are told by name and digest.
"""

from __future__ import annotations

from typing import Any

import msgspec

from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.transitions import Transition


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something about an instance that the log says otherwise. None: it is not there."""

    instance: str
    what: str
    live: Any
    rebuilt: Any


def compare_records(name: str, live: Instance | None, rebuilt: Instance | None) -> list[Difference]:
    """The fields of a line of the register that are not what the log makes of them."""
    if live == rebuilt:
        return []
    if live is None or rebuilt is None:
        told = (one.status if one else None for one in (live, rebuilt))
        return [_difference(name, "instance", *told)]
    there, here = _fields(live), _fields(rebuilt)
    return [
        _difference(name, field, there.get(field), here.get(field))
        for field in sorted(there.keys() | here.keys())
        if there.get(field) != here.get(field)
    ]


def compare_transitions(
    name: str, live: list[Transition], rebuilt: list[Transition]
) -> list[Difference]:
    """The steps that are not the same ones in the same order; both begin with the same number."""
    found = []
    for at in range(max(len(live), len(rebuilt))):
        there, here = (_told(steps[at]) if at < len(steps) else None for steps in (live, rebuilt))
        if there != here:
            number = (live if at < len(live) else rebuilt)[at].number
            found.append(_difference(name, f"transition {number}", there, here))
    return found


def _told(step: Transition) -> str:
    return f"{step.number} {step.id} {step.name} {step.from_status or 'unknown'}→{step.to_status}"


def _difference(name: str, what: str, live: Any, rebuilt: Any) -> Difference:
    return Difference(instance=name, what=what, live=live, rebuilt=rebuilt)


def _fields(instance: Instance) -> dict[str, Any]:
    """A record's fields under dotted names; what has its default is left out."""
    found: dict[str, Any] = {}
    waiting = list(msgspec.to_builtins(instance).items())
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{path}.{name}", one) for name, one in value.items()]
        else:
            found[path] = value
    return found
