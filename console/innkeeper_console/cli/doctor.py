"""`innkeeper doctor`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from innkeeper_console.cli.failing import NOT_FINE, Failed
from innkeeper_console.cli.opening import read_config
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from innkeeper.config import Config
    from innkeeper.store.trust import Finding

_SIGNS = {"fine": "✓", "wrong": "✗", "warning": "!", "unchecked": "?"}
_ORDER = ("fine", "unchecked", "warning", "wrong")
_COLOURS = {"fine": "32", "wrong": "31;1", "warning": "33", "unchecked": "36"}


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Call no marketplace.")] = False,
    keys_backed_up: Annotated[
        bool,
        typer.Option("--keys-backed-up", help="You keep a copy of the keys elsewhere: note it."),
    ] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Look at the running surroundings: what is wrong, and what to do about it."""
    from innkeeper.config import require_keys
    from innkeeper.config.keys import SECRET_KEYS
    from innkeeper.operations.doctor import examine

    read = read_config(config, data)
    require_keys(read)
    if keys_backed_up:
        _note_backup(read)
    found = examine(read, keys_in_file=not os.environ.get(SECRET_KEYS), offline=offline)
    (_print_json if as_json else _print)(found)
    if any(one.verdict == "wrong" for one in found):
        raise typer.Exit(NOT_FINE)


def _note_backup(config: Config) -> None:
    from innkeeper.operations.doctor import note_backup

    try:
        note_backup(config)
    except OSError as error:
        raise Failed(f"{config.data}: it cannot be noted there: {error.strerror}") from error


def _print(found: Sequence[Finding]) -> None:
    from innkeeper_console.cli.printing import shown

    width = max(len(one.name) for one in found)
    # What is wrong stands last, where the reader's eye is.
    for one in sorted(found, key=lambda one: _ORDER.index(one.verdict)):
        value = f"{one.value}: " if one.value else ""
        print(f"{_mark(one.verdict)}  {one.name:{width}}  {shown(value + one.said)}")
    counts = Counter(one.verdict for one in found)
    told = ", ".join(f"{counts[v]} {v}" for v in ("wrong", "warning", "unchecked") if counts[v])
    print(told or "all is fine")


def _mark(verdict: str) -> str:
    """A sign on a terminal, where there is one; the word for whoever reads line by line."""
    if not sys.stdout.isatty():
        return f"{verdict:9}"
    try:
        _SIGNS[verdict].encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return f"{verdict:9}"
    if "NO_COLOR" in os.environ:
        return _SIGNS[verdict]
    return f"\x1b[{_COLOURS[verdict]}m{_SIGNS[verdict]}\x1b[0m"


def _print_json(found: Sequence[Finding]) -> None:
    from innkeeper_console.cli.printing import print_json

    counts = Counter(one.verdict for one in found)
    checks = [
        {"check": one.name, "verdict": one.verdict, "value": one.value, "said": one.said}
        for one in found
    ]
    worst = next(v for v in ("wrong", "warning", "fine") if counts[v] or v == "fine")
    print_json({"verdict": worst, "checks": checks})
