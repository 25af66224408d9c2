"""Replays captured deliveries from a file: what is common to posting, appending and rehearsing.

Counts what became of each line and keeps why some could not be used. Knows neither the file nor
how a line is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from innkeeper.operations.captured import CapturedLine, ReadLine
from innkeeper.operations.replay import CannotReplay
from innkeeper.store.entry import Captured

MOST_FAULTS = 1000


@dataclass(slots=True)
class Report:
    """What became of the lines. `withheld`: had no body, for it may hold secrets.

    `faults`: line number and reason of those rejected or failed, the first thousand.
    """

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    failed: int = 0
    withheld: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)

    def count(self, word: str, number: int, why: str = "") -> None:
        """Count a line under a word: the name of one of the counters."""
        setattr(self, word, getattr(self, word) + 1)
        if why and len(self.faults) < MOST_FAULTS:
            self.faults.append((number, why))

    @property
    def is_fine(self) -> bool:
        """Whether every line that had a body was taken."""
        return not (self.rejected or self.failed)


Take = Callable[[CapturedLine, int], tuple[str, str]]
"""Takes a line with its number; the word to count it under, and why where it was not taken."""


def replay_lines(lines: Iterable[ReadLine], take: Take) -> Report:
    """Take each line in its order. Raises what `take` raises, but for CannotReplay."""
    report = Report()
    for line in lines:
        if line.captured is None:
            report.count("failed", line.number, line.fault)
        elif line.captured.body is None:
            report.count("withheld", line.number)
        else:
            try:
                word, why = take(line.captured, line.number)
            except CannotReplay as error:
                word, why = "rejected", str(error)
            report.count(word, line.number, why)
    return report


def captured_of(line: CapturedLine) -> Captured:
    """A line as the log keeps it: header names in lower case, and no credential."""
    never = ("authorization", "proxy-authorization", "cookie")
    headers = [(name.lower(), value) for name, value in line.headers]
    kept = tuple(header for header in headers if header[0] not in never)
    return Captured(app=line.app, query=line.query, headers=kept, body=line.body or b"")
