"""`innkeeper import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from innkeeper_console.cli.failing import NOT_FINE, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder

_COUNTS = ("accepted", "duplicate", "failed")
_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines.")]


def import_(
    file: _File, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """Adopt instances with keys and secrets from an older receiver; again it does nothing."""
    from innkeeper.operations.importing import import_lines
    from innkeeper_console.cli.printing import print_json, shown

    with opened(config, data) as desk, file.open("rb") as stream:
        if file.stat().st_mode & 0o077:
            say(f"{file} holds secrets, and others may read it: chmod 600")
        report = import_lines(desk, stream)
    counts = {name: getattr(report, name) for name in _COUNTS}
    if as_json:
        faults = [{"line": number, "why": why} for number, why in report.faults]
        print_json(counts | {"faults": faults})
    else:
        for number, why in report.faults:
            say(f"line {number}: {shown(why)}")
        print(", ".join(f"{name} {count}" for name, count in counts.items()))
    if not report.is_fine:
        raise typer.Exit(NOT_FINE)
