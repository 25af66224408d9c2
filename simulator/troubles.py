"""What is wrong with a marketplace just now: switched by the control, felt by its REST API.

down              503, as from a proxy        slow            answers late, with what was true
html              a page instead of JSON      limited         429 (503 on Xandr), and until when
refusing          credentials refused         short_pages     a list lacks rows that it counts
changing_counts   the total differs by page   wrong_types     texts or lists for objects
legacy            Xandr's shape of old        old_words       Xurrent knows only integrations
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = (
    "down",
    "slow",
    "html",
    "limited",
    "refusing",
    "short_pages",
    "changing_counts",
    "wrong_types",
    "legacy",
    "old_words",
)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """`times`: how many requests it still strikes; None: until it is switched off.

    `seconds`: how late `slow` answers, or how long `limited` asks to wait.
    """

    kind: str
    times: int | None = None
    seconds: float = 1.0


class Troubles:
    """At most one trouble a marketplace."""

    def __init__(self) -> None:
        self._present: dict[str, Trouble] = {}
        self._count = 0

    def put(self, platform: str, trouble: Trouble | None) -> None:
        """Switch a trouble on, or all off."""
        self._present.pop(platform, None)
        if trouble is not None:
            self._present[platform] = trouble

    def strike(self, platform: str, *kinds: str) -> Trouble | None:
        """The trouble, if it is of these kinds; counts."""
        found = self._present.get(platform)
        if found is None or found.kind not in kinds:
            return None
        if found.times is not None:
            found.times -= 1
            if found.times <= 0:
                del self._present[platform]
        return found

    def bend(self, platform: str, rows: list[Any], total: int) -> tuple[Any, int]:
        """A page of a list and the total, as a lying marketplace tells them."""
        found = self.strike(platform, "short_pages", "changing_counts", "wrong_types")
        if found is None:
            return rows, total
        if found.kind == "short_pages":
            return rows[: len(rows) // 2], total
        if found.kind == "changing_counts":
            self._count += 1
            return rows, total + self._count
        return [str(row) for row in rows], total
