"""Whether a list that is read page by page may be taken as whole.

Used by the clients. Counts elements and remembers their ids; knows no page's form.
"""

from __future__ import annotations

from collections.abc import Iterable

from innkeeper.platforms.api_errors import Inconsistent


class Counting:
    """One reading of one list. Memory: an id an element."""

    def __init__(self, *, may_grow: bool = False) -> None:
        """`may_grow`: new elements come last, behind a cursor, so that they shift none."""
        self._may_grow = may_grow
        self._ids: set[str] = set()
        self._count: int | None = None

    @property
    def seen(self) -> int:
        """How many elements there were so far."""
        return len(self._ids)

    def state(self, count: int) -> None:
        """Take what a page says of how many elements there are in all. Raises Inconsistent."""
        known = self._count
        if known is not None and (count < known or (count > known and not self._may_grow)):
            raise Inconsistent(f"the list was of {known} while it was read, and then of {count}")
        self._count = count

    def add(self, ids: Iterable[str]) -> None:
        """Take a page's elements. Raises Inconsistent where one was there before."""
        for each in ids:
            if each in self._ids:
                raise Inconsistent(f"{each} is listed twice")
            self._ids.add(each)

    def end(self) -> None:
        """Take it that there is no further page. Raises Inconsistent where elements are missing."""
        if self._count is not None and self.seen != self._count:
            raise Inconsistent(f"{self.seen} were listed of {self._count}")
