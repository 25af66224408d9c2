"""Single values: what is read from them, and what is refused."""

from __future__ import annotations

import pytest

from innkeeper.config.units import duration, positive_duration, shown, size


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("20m", 1200),
        ("1h", 3600),
        ("14d", 1209600),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
    ],
)
def test_durations_are_seconds(stated: object, seconds: float) -> None:
    """A duration is read with its unit, a bare number as seconds."""
    assert seconds == duration(stated)


@pytest.mark.parametrize(
    "stated",
    [
        "",
        "10",
        "10 s",
        "1.5h",
        "-1s",
        "1w",
        "10S",
        "١s",
        -1,
        True,
        None,
        [],
        float("nan"),
        float("inf"),
        "99999999d",
    ],
)
def test_other_durations_are_refused(stated: object) -> None:
    """What is no duration, negative or endless is refused."""
    with pytest.raises(ValueError, match=r"duration|years"):
        duration(stated)


def test_no_time_is_no_positive_duration() -> None:
    """Zero is refused where a time is needed."""
    with pytest.raises(ValueError, match="more than 0"):
        positive_duration("0s")


@pytest.mark.parametrize(
    ("stated", "count"), [("64KiB", 65536), ("1MiB", 1 << 20), ("2GiB", 2 << 30), ("7B", 7), (5, 5)]
)
def test_sizes_are_bytes(stated: object, count: int) -> None:
    """A size is read with its unit, a bare number as bytes."""
    assert count == size(stated)


@pytest.mark.parametrize("stated", ["1MB", "1.5MiB", "10", 0, -1, 1.0, True, "0B", 2**70])
def test_other_sizes_are_refused(stated: object) -> None:
    """What is no size, or none at all, is refused."""
    with pytest.raises(ValueError, match=r"size|between"):
        size(stated)


def test_quoted_values_are_cut_and_escaped() -> None:
    """A message never carries a huge value nor control characters."""
    assert len(shown("x" * 1000)) == 60
    assert "\n" not in shown("a\nb")
