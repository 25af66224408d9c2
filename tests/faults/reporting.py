"""The rows of `docs/reliability.md`: noted by trials, and put together by `make faults`.

A trial notes its row only where FAULTS_ROWS names a file; `python -m tests.faults.reporting ROWS`
prints the page.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from statistics import median

_HEAD = """# Reliability

What is done to Innkeeper by `make faults`, and what comes of it. Each row is a number of tries with
seeds of their own, each over a real store on disk, with senders who sign for real: after the fault,
the register is compared with a reference model folded from exactly those deliveries that were
answered 2xx (those that were not answered may or may not have come in), every accepted delivery is
looked up, every follow-up counted, `innkeeper audit` and `innkeeper rebuild --check` are asked.

- **lost**: accepted, and without its effect. **twice**: a transition or a follow-up set off twice.
- **run again**: follow-ups that were run once more under the same idempotency key, as promised.
- **first 2xx**, **settled**: seconds from the fault's end to the next delivery that was accepted,
  and to the last effect of all; the median, and the longest of all tries.
"""


_EFFORT = ("TRIES", "LOAD", "PYTEST_ADDOPTS")
"""What a run was asked for: how often, how much, and how many trials side by side."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One try of a fault."""

    fault: str
    what: str
    seed: int
    sent: int
    accepted: int
    lost: int
    twice: int
    repeated: int = 0
    first_answer_seconds: float = 0.0
    settled_seconds: float = 0.0


def report(row: Row) -> None:
    """Note a row, if anybody wants it."""
    if file := os.environ.get("FAULTS_ROWS"):
        Path(file).parent.mkdir(exist_ok=True)
        with Path(file).open("a") as rows:
            rows.write(json.dumps(asdict(row)) + "\n")


def page(rows: list[Row]) -> str:
    """The page, with a line for each thing that was done."""
    groups: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[int(row.fault), row.fault, row.what].append(row)
    lines = [
        "| fault | what is done | tries | deliveries | accepted | lost | twice | run again "
        "| first 2xx | settled | command |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (_, fault, what), tries in sorted(groups.items()):
        counts = [
            sum(getattr(one, name) for one in tries)
            for name in ("sent", "accepted", "lost", "twice", "repeated")
        ]
        cells = [
            fault, what, len(tries), *(f"{count:,}" for count in counts),
            _spread([one.first_answer_seconds for one in tries]),
            _spread([one.settled_seconds for one in tries]), f"`{_command(fault)}`",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    seeds = sorted({row.seed for row in rows})
    made = (
        f"Made on {platform.system()}, {os.cpu_count()} processors, Python {sys.version.split()[0]}"
    )
    asked = {name: os.environ[name] for name in _EFFORT if os.environ.get(name)}
    effort = " ".join(f"{name}={quote(value)}" for name, value in asked.items())
    made += f"; seeds {seeds[0]} to {seeds[-1]}" + (f"; `{effort} make faults`" if effort else "")
    return f"{_HEAD}\n{made}.\n\n" + "\n".join(lines) + "\n"


def _command(fault: str) -> str:
    if fault == "16":
        return "make soak MINUTES=60"
    return f"make faults ARGS=tests/faults/test_fault_{int(fault):02}.py"


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.1f} s (≤ {max(seconds):.1f})" if any(seconds) else "–"


if __name__ == "__main__":
    noted = Path(sys.argv[1]).read_text().splitlines()
    print(page([Row(**json.loads(line)) for line in noted]), end="")
