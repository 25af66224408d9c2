"""How things are printed: tables for people, one JSON document for programs.

What comes from outside is shown without control characters. Nothing is cut off, and no line is
wrapped but by the terminal itself, so that an id can be copied.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_ENDLESS = 1 << 20


def print_json(document: Any) -> None:
    """One document, indented."""
    import msgspec

    encoded = msgspec.json.format(msgspec.json.encode(document), indent=2)
    print(encoded.decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; a note instead where it has no rows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(shown(cell), no_wrap=True) for cell in row))
    if not table.row_count:
        print("none")
        return
    drawn = io.StringIO()
    styled = sys.stdout.isatty()
    Console(
        file=drawn,
        width=_ENDLESS,
        force_terminal=styled,
        color_system="standard" if styled else None,
    ).print(table)
    for line in drawn.getvalue().splitlines():
        print(line.rstrip())


def print_fields(document: dict[str, Any]) -> None:
    """A document as a column of names and values; nested ones as JSON."""
    width = max(len(name) for name in document)
    for name, value in document.items():
        print(f"{name:{width}}  {shown(value)}")


def shown(value: Any) -> str:
    """A value as people read it, on one line."""
    import msgspec

    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict() | list() | tuple():
            text = msgspec.json.encode(value).decode()
        case _:
            text = str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
