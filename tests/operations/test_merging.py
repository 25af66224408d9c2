"""Many ordered slices as one list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.operations.merging import walk

slices = st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 999))), max_size=6)


@given(slices, st.booleans(), st.integers(1, 3), st.one_of(st.none(), st.integers(0, 6)))
def test_gives_every_item_once_and_in_order(
    found: list[list[tuple[int, int]]], reverse: bool, a_slice: int, since: int | None
) -> None:
    """However the items lie, tie and are cut off: the same as sorting all of them at once."""
    ordered = [sorted(set(items), reverse=reverse) for items in found]
    after = None if since is None else (since, 500)

    def fetch(past: tuple[int, int] | None, limit: int) -> list[list[tuple[tuple[int, int], str]]]:
        # By the first part alone, as an index by time is read: ties are given again.
        given_ = [
            [p for p in items if past is None or (p[0] <= past[0] if reverse else p[0] >= past[0])]
            for items in ordered
        ]
        return [[(place, str(place)) for place in items[:limit]] for items in given_]

    expected = sorted({p for items in found for p in items}, reverse=reverse)
    if after is not None:
        expected = [p for p in expected if (p < after if reverse else p > after)]
    walked = list(walk(fetch, after=after, a_slice=a_slice, reverse=reverse))
    assert [place for place, _ in walked] == expected
