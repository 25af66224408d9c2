"""The page of results, put together from the rows that trials note."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.reporting import Row, page


def test_tries_of_one_thing_make_one_line():
    """Counts are added up, times are the median and the longest, faults stand in their order."""
    quick = Row(fault="2", what="killed", seed=1, sent=100, accepted=90, lost=0, twice=0)
    slow = replace(quick, seed=2, sent=50, accepted=50, lost=1, twice=2)
    rows = [
        Row(fault="10", what="sent again", seed=1, sent=1, accepted=1, lost=0, twice=0),
        quick,
        replace(slow, first_answer_seconds=3.0, settled_seconds=9.0),
    ]
    lines = [line for line in page(rows).splitlines() if line.startswith("| ")]
    assert lines[1:] == [
        "| 2 | killed | 2 | 150 | 140 | 1 | 2 | 0 | 1.5 s (≤ 3.0) | 4.5 s (≤ 9.0) "
        "| `make faults ARGS=tests/faults/test_fault_02.py` |",
        "| 10 | sent again | 1 | 1 | 1 | 0 | 0 | 0 | – | – "
        "| `make faults ARGS=tests/faults/test_fault_10.py` |",
    ]
