"""Filters over instances, with the operator in the value: `disabled=!true`, `id=a,b`, `id=>=a`.

Used by `instances`. Times are compared exactly, in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET

from innkeeper.lifecycle.events import Flag
from innkeeper.lifecycle.instance import Status
from innkeeper.operations.questions import MAX_VALUES, BadQuestion, checked
from innkeeper.store.register import Line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRUTHS = {"true": True, "false": False, "null": None}


class Operator(StrEnum):
    """How a value is compared; the longer ones first, as they are looked for."""

    AT_MOST = "<="
    AT_LEAST = ">="
    LESS = "<"
    MORE = ">"
    NOT = "!"
    IS = ""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One condition. `values`: of the field's type; more than one only for `IS` and `NOT`."""

    field: str
    operator: Operator
    values: tuple[Any, ...]

    def holds(self, line: Line) -> bool:
        """Whether a line of the register satisfies it."""
        found = _FIELDS[self.field](line)
        if self.operator is Operator.IS:
            return not found.isdisjoint(self.values)
        if self.operator is Operator.NOT:
            return found.isdisjoint(self.values)
        (held,), (value,) = found, self.values
        return bool(_COMPARISONS[self.operator](held, value))


def read_filter(field: str, stated: str) -> Filter:
    """A filter from its name and value. Raises BadQuestion."""
    if field not in _FIELDS:
        names = ", ".join(_FIELDS)
        raise BadQuestion(f"{field[:80]!r} is no field to filter by; these are: {names}")
    operator = next(o for o in Operator if stated.startswith(o))
    text = stated[len(operator) :]
    if operator in _COMPARISONS:
        if field not in _ORDERED:
            raise BadQuestion(f"{field} has no order: {operator} cannot be used")
        return Filter(field=field, operator=operator, values=(_read(field, text),))
    parts = text.split(",")
    if len(parts) > MAX_VALUES:
        raise BadQuestion(f"{field}: at most {MAX_VALUES} values can be given")
    values = tuple(_read(field, part) for part in parts)
    return Filter(field=field, operator=operator, values=values)


def micros_of(moment: datetime) -> int:
    """A time in microseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _read(field: str, text: str) -> Any:
    if not text:
        raise BadQuestion(f"{field}: a value is missing")
    return _READERS.get(field, str)(text)


def _truth(text: str) -> bool | None:
    return _TRUTHS[checked("the value", text, _TRUTHS)]


def _status(text: str) -> Status:
    return Status(checked("status", text, [str(status) for status in Status]))


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is None and len(text) > 10):
        raise BadQuestion(
            f"{text[:80]!r} is no time such as 2026-11-24T15:04:05.123456Z (a + is written %2B)"
        )
    return micros_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _flag(flag: Flag) -> set[Any]:
    return {None if flag is UNSET else flag}


_READERS: dict[str, Callable[[str], Any]] = {
    "status": _status,
    "disabled": _truth,
    "suspended": _truth,
    "enabled_by_customer": _truth,
    "confirmed": _truth,
    "created_at": _moment,
    "updated_at": _moment,
}
_FIELDS: dict[str, Callable[[Line], set[Any]]] = {
    "id": lambda line: {str(line.instance.key)},
    "platform": lambda line: {line.instance.platform},
    "app_offering": lambda line: {line.instance.app, line.instance.offering},
    "customer_account": lambda line: {line.instance.account},
    "status": lambda line: {line.instance.status},
    "disabled": lambda line: _flag(line.instance.flags.disabled),
    "suspended": lambda line: _flag(line.instance.flags.suspended),
    "enabled_by_customer": lambda line: _flag(line.instance.flags.enabled_by_customer),
    "confirmed": lambda line: {line.instance.confirmed},
    "created_at": lambda line: {micros_of(line.created_at)},
    "updated_at": lambda line: {micros_of(line.updated_at)},
}
_ORDERED = ("id", "created_at", "updated_at")
_COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.AT_MOST: lambda held, value: held <= value,
    Operator.AT_LEAST: lambda held, value: held >= value,
    Operator.LESS: lambda held, value: held < value,
    Operator.MORE: lambda held, value: held > value,
}
