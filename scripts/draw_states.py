"""Draws the state machine: docs/states.md, from the table in innkeeper/lifecycle/transitions.py.

`python scripts/draw_states.py` writes the page, `--check` exits 1 if it is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from innkeeper.lifecycle.instance import Status
from innkeeper.lifecycle.transitions import TABLE

PAGE = Path(__file__).parent.parent / "docs" / "states.md"
HEAD = """# States and transitions

Drawn by `python scripts/draw_states.py` from the table in `innkeeper/lifecycle/transitions.py`; a
test keeps the two together. The rules by which an event changes facts, from which the status
follows, are numbered in the head of `innkeeper/lifecycle/machine.py`.

The status of an instance is the first of these that holds:

| status | holds when |
|---|---|
| `removed` | the marketplace said that it is gone |
| `disabled` | the provider's `disabled` is set, or the customer took back a yes that was given |
| `suspended` | either party suspended it |
| `pending` | nothing is known but secrets, or the customer's yes was never given |
| `enabling`, `disabling` | the marketplace says that a change is under way |
| `enabled` | otherwise: it operates |
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, picture(), "", "## The table", "", *table(), ""])


def picture() -> str:
    """The machine as a picture, without the steps that change facts alone."""
    lines = ["## The picture", "", "```mermaid", "stateDiagram-v2"]
    for start, row in TABLE.items():
        for end, names in row.items():
            told = [name for name in names if name != "updated"]
            if start is not end and told:
                lines.append(f"    {start or '[*]'} --> {end}: {', '.join(told)}")
    return "\n".join([*lines, "```"])


def table() -> list[str]:
    """Every cell: from (down) and to (across)."""
    heads = [f"to `{status}`" for status in Status]
    lines = ["| from | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for start, row in TABLE.items():
        cells = [", ".join(f"`{name}`" for name in row[end]) or "—" for end in Status]
        lines.append(
            f"| {f'`{start}`' if start else 'nothing known'} | " + " | ".join(cells) + " |"
        )
    return [
        *lines,
        "",
        "An installation under another object id, while the old one still stands, is `removed` and",
        "then what the row *nothing known* says. `secrets_updated` and `app_event` are no",
        "transitions; they set off follow-ups all the same. `adopted` belongs to reconciling.",
    ]


if __name__ == "__main__":
    if "--check" in sys.argv:
        stale = PAGE.read_text() != page()
        sys.exit("docs/states.md is out of date: run scripts/draw_states.py" if stale else 0)
    PAGE.write_text(page())
