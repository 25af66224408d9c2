"""What an audit finds, and how it makes sure: what seems wrong is looked at again before it counts.

Beside live traffic two reads may show two moments; what is really wrong stays so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

T = TypeVar("T")
_LOOKS = 3
_PAUSE_SECONDS = 0.1
_MOST_DOUBTS = 5000
_PIECE = 500


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not fit. `what`: the sort of thing; `id`: which one; `says`: how so."""

    what: str
    id: str
    says: str


Look = Callable[[list[T]], list[tuple[T, Finding]]]
"""Looks at some items; what seems wrong with which."""


def lasting(look: Look[T], pieces: Iterable[list[T]]) -> Iterator[tuple[T, Finding]]:
    """The items with which something is wrong at every one of several looks, and what."""
    doubts: dict[T, None] = {}
    for piece in pieces:
        doubts |= dict.fromkeys(item for item, _ in look(piece))
        if len(doubts) >= _MOST_DOUBTS:
            yield from _again(look, list(doubts))
            doubts = {}
    yield from _again(look, list(doubts))


def _again(look: Look[T], doubts: list[T]) -> Iterator[tuple[T, Finding]]:
    found: list[tuple[T, Finding]] = []
    for _ in range(_LOOKS - 1):
        if not doubts:
            return
        time.sleep(_PAUSE_SECONDS)
        found = [one for piece in pieces_of(doubts, _PIECE) for one in look(piece)]
        doubts = list(dict.fromkeys(item for item, _ in found))
    yield from found


def pieces_of(items: list[T], size: int) -> Iterator[list[T]]:
    """A list in pieces."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
