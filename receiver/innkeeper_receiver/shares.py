"""Bounds what waits in memory: how many bytes in all, and how many of them for one holder.

The hook takes a share for a body while it is not proven, its holder the caller's address, and
another for a proven delivery until it is stored, its holder the signer. So no caller and no signer
alone takes the room of others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

MOST_BYTES = 64 << 20
LEAST_BYTES = 16 << 10
"""A body counts for no less: so much its request takes beside it."""
_SHARE = 4


class Overloaded(Exception):
    """There is no room now; the sender has to come again."""


class Room:
    """Bytes that may be held at the same time. For one event loop."""

    def __init__(
        self,
        whole: str,
        share: str,
        shed: Callable[[str], None],
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`shed` is called with `whole` or `share`: which of the two bounds had been reached."""
        self._whole, self._share, self._shed = whole, share, shed
        self._most = most_bytes
        self._most_each = most_bytes // _SHARE
        self._taken = 0
        self._taken_by: dict[Hashable, int] = {}

    def held_by(self, holder: Hashable) -> Held:
        """A place for one request; it holds nothing yet."""
        return Held(self, holder)

    def take(self, holder: Hashable, size: int) -> None:
        """Raises Overloaded, and has then taken nothing."""
        taken = self._taken_by.get(holder, 0) + size
        if self._taken + size > self._most:
            self._shed(self._whole)
            raise Overloaded
        if taken > self._most_each:
            self._shed(self._share)
            raise Overloaded
        self._taken += size
        self._taken_by[holder] = taken

    def give_back(self, holder: Hashable, size: int) -> None:
        """What `take` has taken."""
        self._taken -= size
        left = self._taken_by[holder] - size
        if left:
            self._taken_by[holder] = left
        else:
            del self._taken_by[holder]


class Held:
    """What one request holds of a room."""

    __slots__ = ("_holder", "_room", "_size")

    def __init__(self, room: Room, holder: Hashable) -> None:
        self._room, self._holder, self._size = room, holder, 0

    def take(self, size: int) -> None:
        """Hold more. Raises Overloaded."""
        size = size if self._size else max(size, LEAST_BYTES)
        self._room.take(self._holder, size)
        self._size += size

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Hold nothing any more; more than once does no harm."""
        if self._size:
            self._room.give_back(self._holder, self._size)
            self._size = 0
