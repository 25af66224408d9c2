"""Order keys: what tells which of two statements about one fact is the later.

A key has a kind, and only keys of one kind are compared. Kinds have ranks: a key is replaced
only by one of the same or a better kind.
"""

from __future__ import annotations

from enum import Enum, StrEnum

import msgspec


class OrderKind(StrEnum):
    """Where a key comes from."""

    AUDIT = "audit"
    """An audit line's number: one growing integer per marketplace account."""
    UPDATED = "updated"
    """The marketplace's own time of the last change, in microseconds since the epoch."""
    PASS = "pass"
    """The number of the reading pass that saw the fact."""
    ISSUED = "issued"
    """When an attempt was signed, in seconds since the epoch. The time of an attempt, not of a
    change: it never proves that a change is newer."""


_RANK = {OrderKind.AUDIT: 3, OrderKind.UPDATED: 2, OrderKind.PASS: 2, OrderKind.ISSUED: 1}


class Order(Enum):
    """How a statement stands to a known one."""

    NEWER = "newer"
    SAME = "same"
    OLDER = "older"
    UNKNOWN = "unknown"


class OrderKey(msgspec.Struct, frozen=True):
    """A kind and a number; written `audit:48289`."""

    kind: OrderKind
    value: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    @property
    def proves_change(self) -> bool:
        """Whether a greater key of this kind means a later change."""
        return self.kind is not OrderKind.ISSUED


def compare(stated: OrderKey | None, known: OrderKey | None) -> Order:
    """How `stated` stands to `known`; UNKNOWN where they share no kind."""
    if stated is None or known is None or stated.kind is not known.kind:
        return Order.UNKNOWN
    if stated.value == known.value:
        return Order.SAME
    return Order.NEWER if stated.value > known.value else Order.OLDER


def better(stated: OrderKey | None, known: OrderKey | None) -> OrderKey | None:
    """The key that a fact bears after `stated` has been taken over `known`.

    The greater of one kind, else the one of the better kind; of two kinds that rank alike, the
    stated one, since its statement is the one that holds.
    """
    if stated is None or known is None:
        return known if stated is None else stated
    if stated.kind is known.kind:
        return stated if stated.value > known.value else known
    return stated if _RANK[stated.kind] >= _RANK[known.kind] else known


def below(stated: OrderKey | None, floor: OrderKey | None) -> bool:
    """Whether `stated` lies at or under a removal's key."""
    return compare(stated, floor) in (Order.OLDER, Order.SAME)
