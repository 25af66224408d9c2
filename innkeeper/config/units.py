"""What a single value of the file may be: texts, numbers, durations, sizes, names.

Each is a function of the raw value that returns the typed one or raises ValueError with what was
expected. Called by the readers of tables; knows no key and no path.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T")
N = TypeVar("N", int, float)
W = TypeVar("W", bound=str)
Parse = Callable[[object], T]

_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CENTURY_SECONDS = 100 * 365 * 86400.0
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB|TiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_MAX_BYTES = 1 << 60


def shown(value: object) -> str:
    """The value as a message may quote it: escaped and cut. Not for what may be a secret."""
    quoted = repr(value)
    return quoted if len(quoted) <= 60 else quoted[:59] + "…"


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """A hint at the known word that was probably meant, or nothing."""
    close = difflib.get_close_matches(wrong, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def typed(kind: type[T]) -> Parse[T]:
    """A value of this type. The message names both types, never the value."""

    def parse(value: object) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as wrong:
            raise ValueError(str(wrong)) from None

    return parse


truth = typed(bool)
integer = typed(int)
number = typed(float)


def lines(value: object) -> str:
    """A text of one line or several that is not blank."""
    found = typed(str)(value)
    if not found.strip():
        raise ValueError("is empty")
    return found


def text(value: object) -> str:
    """A text that is not blank, without control characters."""
    found = lines(value)
    if not found.isprintable():
        raise ValueError("holds control characters")
    return found


def matching(pattern: str, expected: str) -> Parse[str]:
    """A text that the whole pattern matches."""
    compiled = re.compile(pattern)

    def parse(value: object) -> str:
        found = text(value)
        if not compiled.fullmatch(found):
            raise ValueError(f"{shown(found)} is not {expected}")
        return found

    return parse


def one_of(*words: W) -> Parse[W]:
    """One word of a closed list."""

    def parse(value: object) -> W:
        found = text(value)
        for word in words:
            if word == found:
                return word
        known = ", ".join(words)
        raise ValueError(f"{shown(found)} is none of {known}{suggestion(found, words)}")

    return parse


def at_least(minimum: N, parse: Parse[N], unit: str = "") -> Parse[N]:
    """A number no smaller than `minimum`, which is told with its unit."""

    def bounded(value: object) -> N:
        found = parse(value)
        if not found >= minimum:
            raise ValueError(f"{shown(value)} is less than {minimum:g}{unit}")
        return found

    return bounded


def duration(value: object) -> float:
    """Seconds: a number of them, or a text such as "500ms", "10s", "20m", "1h", "14d"."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        seconds = int(match[1]) * _SECONDS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError(f'{shown(value)} is no duration, such as "500ms", "10s", "20m", "14d"')
    if not 0 <= seconds <= _CENTURY_SECONDS:
        raise ValueError(f"{shown(value)} is not between 0 and 100 years")
    return seconds


def positive_duration(value: object) -> float:
    """Seconds, more than none."""
    seconds = duration(value)
    if seconds == 0:
        raise ValueError("must be more than 0")
    return seconds


def size(value: object) -> int:
    """Bytes, at least one: a whole number of them, or a text such as "64KiB", "1MiB", "2GiB"."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match:
        count = int(match[1]) * _BYTES[match[2]]
    elif isinstance(value, int) and not isinstance(value, bool):
        count = value
    else:
        raise ValueError(f'{shown(value)} is no size, such as "64KiB", "1MiB", "2GiB"')
    if not 1 <= count <= _MAX_BYTES:
        raise ValueError(f"{shown(value)} is not between 1 byte and 2^60 bytes")
    return count
