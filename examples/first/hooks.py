"""A vendor's follow-up, as small as can be: it appends a line to a file."""

from pathlib import Path
from typing import Any


def note(transition: Any, instance: dict[str, Any], context: Any) -> None:
    """Called by the workers for each transition that `innkeeper.toml` names."""
    line = f"{transition.name} {instance['id']} (attempt {context.attempt})\n"
    with Path("follow-ups.txt").open("a") as notes:
        notes.write(line)
