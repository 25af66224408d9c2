"""How one asks for a list: fields, sort, page size and cursor, checked; the conventions of the API.

Used by every list of `operations`, for the console and the command line alike. Knows no store.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable
from typing import Any, Generic, TypeVar

import msgspec

DEFAULT_PER_PAGE = 20
MAX_PER_PAGE = 100
MAX_FILTERS = 32
MAX_VALUES = 100
"""Of one filter."""
_CONTROLS = ("fields", "sort", "per_page", "cursor")

T = TypeVar("T")


class BadQuestion(Exception):
    """What was asked for does not exist: a field, filter, sort or value. The asker's to mend."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question taken apart. `filters`: names and values as they came, in their order."""

    filters: tuple[tuple[str, str], ...] = ()
    fields: str | None = None
    sort: str | None = None
    per_page: int = DEFAULT_PER_PAGE
    cursor: str | None = None


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; `next`: the cursor of the page after it, None on the last one."""

    items: list[T]
    next: str | None = None


def take_apart(pairs: Iterable[tuple[str, str]]) -> Asked:
    """Part what governs the list from its filters. Raises BadQuestion."""
    controls: dict[str, str] = {}
    filters: list[tuple[str, str]] = []
    for name, value in pairs:
        if name not in _CONTROLS:
            filters.append((name, value))
        elif name in controls:
            raise BadQuestion(f"{name} is given twice")
        else:
            controls[name] = value
    if len(filters) > MAX_FILTERS:
        raise BadQuestion(f"at most {MAX_FILTERS} filters can be given")
    return Asked(
        filters=tuple(filters),
        fields=controls.get("fields"),
        sort=controls.get("sort"),
        per_page=_per_page(controls.get("per_page")),
        cursor=controls.get("cursor"),
    )


def checked(name: str, value: str, known: Collection[str]) -> str:
    """`value`, which must be one of `known`. Raises BadQuestion."""
    if value not in known:
        raise BadQuestion(f"{name} {value[:80]!r} is not one of: {', '.join(known)}")
    return value


def refuse(asked: Asked, *names: str) -> None:
    """Raise BadQuestion where a control is given that this list does not have."""
    for name in names:
        if getattr(asked, name) is not None:
            raise BadQuestion(f"this list takes no {name}")


def write_cursor(*place: Any) -> str:
    """A place in a list as an opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def read_cursor(cursor: str, shape: Any) -> Any:
    """The reverse of `write_cursor`: a place of the type `shape`. Raises BadQuestion."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=shape)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, ValueError):
        raise BadQuestion("cursor is not one that this list has given") from None


def _per_page(stated: str | None) -> int:
    if stated is None:
        return DEFAULT_PER_PAGE
    number = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 9 else 0
    if not 1 <= number <= MAX_PER_PAGE:
        raise BadQuestion(f"per_page must be between 1 and {MAX_PER_PAGE}")
    return number
