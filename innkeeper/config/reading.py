"""Reads tables of the file key by key and collects every fault instead of stopping at the first.

A faulty value is replaced by its default or a stand-in, so that the rest is read as well; what
was read counts only if no fault was found. Knows no section and no key by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from innkeeper.config import hosts
from innkeeper.config.faults import Fault
from innkeeper.config.units import Parse, suggestion, text, typed

T = TypeVar("T")
D = TypeVar("D")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Only what looks like a variable is quoted: somebody may have written the secret itself there.
_QUOTABLE_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


class Reading:
    """One reading of a configuration: its surroundings, and the faults found so far."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.environ = environ
        self.folder = folder
        self.faults: list[Fault] = []
        self.allow_hosts: tuple[str, ...] = ()

    def fault(self, path: str, message: str) -> None:
        """Note a fault and go on."""
        self.faults.append(Fault(path=path, message=message))

    def parsed(self, path: str, value: object, parse: Parse[T], instead: D) -> T | D:
        """The parsed value; a faulty one is noted and gives `instead`."""
        try:
            return parse(value)
        except ValueError as wrong:
            self.fault(path, str(wrong))
            return instead

    def variable(self, name: str) -> str | None:
        """An environment variable; an empty one counts as not set."""
        return self.environ.get(name) or None

    def url(self, value: object) -> str:
        """A URL to which this configuration allows calls."""
        return hosts.url(value, self.allow_hosts)

    def base_url(self, value: object) -> str:
        """A URL to which paths are added and to which this configuration allows calls."""
        return hosts.base_url(value, self.allow_hosts)


class Table:
    """A table of the file. Which keys it may have is what has been asked of it before `end`.

    `values`: None where something else stands in the table's place; that is noted already, and
    nothing more is said of it.
    """

    def __init__(self, reading: Reading, path: str, values: Mapping[str, Any] | None) -> None:
        self.reading = reading
        self.path = path
        self._is_table = values is not None
        self._values = values or {}
        self._known: set[str] = set()

    def at(self, key: str) -> str:
        """The path of a key of this table."""
        part = key if _BARE_KEY.fullmatch(key) else json.dumps(key)
        return f"{self.path}.{part}" if self.path else part

    def fault(self, key: str, message: str) -> None:
        """Note a fault of a key."""
        if self._is_table:
            self.reading.fault(self.at(key), message)

    def has(self, key: str) -> bool:
        """Whether the key stands there."""
        self._known.add(key)
        return key in self._values

    def raw(self, key: str) -> object:
        """The value as it stands, None if it is left out; notes nothing."""
        return self._values.get(key)

    def take(self, key: str, parse: Parse[T], default: D) -> T | D:
        """The value of a key that may be left out."""
        if not self.has(key):
            return default
        return self.reading.parsed(self.at(key), self._values[key], parse, default)

    def need(self, key: str, parse: Parse[T], stand_in: T) -> T:
        """The value of a key that must be there; with a fault, the stand-in."""
        if not self.has(key):
            self.fault(key, "is missing")
            return stand_in
        return self.take(key, parse, stand_in)

    def items(self, key: str, parse: Parse[T]) -> tuple[T, ...]:
        """The items of an array that may be left out; faulty items are noted and dropped."""
        found: list[T] = []
        for index, value in enumerate(self.take(key, typed(list[Any]), [])):
            item = self.reading.parsed(f"{self.at(key)}[{index}]", value, parse, None)
            if item is not None:
                found.append(item)
        return tuple(found)

    def table(self, key: str) -> Table:
        """The table under a key; an empty one if it is left out."""
        values = self.take(key, _mapping, None) if self.has(key) else {}
        return Table(self.reading, self.at(key), values)

    def tables(self, key: str) -> list[Table]:
        """The tables of an array of tables that may be left out."""
        found: list[Table] = []
        for index, value in enumerate(self.take(key, typed(list[Any]), [])):
            path = f"{self.at(key)}[{index}]"
            values = self.reading.parsed(path, value, _mapping, None)
            if values is not None:
                found.append(Table(self.reading, path, values))
        return found

    def secret(self, key: str) -> str:
        """The value of the environment variable that the key, which must be there, names."""
        name = self.need(key, text, "")
        if not name:
            return ""
        if not _VARIABLE.fullmatch(name):
            self.fault(key, "is no name of an environment variable")
            return ""
        value = self.reading.environ.get(name, "")
        if not value.strip():
            quoted = name if _QUOTABLE_VARIABLE.fullmatch(name) else "named here"
            state = "is empty" if name in self.reading.environ else "is not set"
            self.fault(key, f"the environment variable {quoted} {state}")
        return value

    def end(self) -> None:
        """Note every key that was never asked for."""
        for key in self._values:
            if key not in self._known:
                self.fault(key, f"unknown key{suggestion(key, self._known)}")


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError(f"Expected a table, got `{type(value).__name__}`")
