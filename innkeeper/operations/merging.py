"""Walks many ordered slices, one a partition, as one ordered list, in bounded steps.

Used by every list that lies spread over the partitions. Knows neither store nor what is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
MOST_A_SLICE = 200

Place = Any
"""Where an item stands: comparable with the others, and unique."""


def walk(
    fetch: Callable[[Place | None, int], Sequence[Sequence[tuple[Place, T]]]],
    *,
    after: Place | None = None,
    a_slice: int = 8,
    reverse: bool = False,
) -> Iterator[tuple[Place, T]]:
    """Give each item past the place `after` with its place, in order.

    `fetch(after, limit)`: of each partition the first `limit` items from `after` on; `after` itself
    and what ties with it may be among them. `a_slice`: how many to begin with.
    """
    limit = a_slice
    while True:
        slices = fetch(after, limit)
        # A slice that was cut off may hold more behind its last item, and so before what others
        # gave: nothing past the nearest of these ends is sure to be next.
        ends = [items[-1][0] for items in slices if len(items) >= limit]
        end = None if not ends else max(ends) if reverse else min(ends)
        fresh = {
            place: item
            for items in slices
            for place, item in items
            if _is_past(place, after, reverse)
            and (end is None or not _is_past(place, end, reverse))
        }
        yield from sorted(fresh.items(), key=lambda found: found[0], reverse=reverse)
        if end is None:
            return
        limit *= 2
        if _is_past(end, after, reverse):
            # Only where all of a slice ties with `after` has the limit to go on growing.
            after, limit = end, min(limit, MOST_A_SLICE)


def _is_past(place: Place, after: Place | None, reverse: bool) -> bool:
    if after is None:
        return True
    return bool(place < after if reverse else place > after)
