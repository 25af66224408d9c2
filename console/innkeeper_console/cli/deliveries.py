"""`innkeeper deliveries`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from innkeeper_console.cli.failing import WRONG_USAGE, Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import (
    AppName,
    AsJson,
    Commands,
    ConfigFile,
    DataFolder,
    Limit,
    Platform,
)

if TYPE_CHECKING:
    from innkeeper.operations.deliveries import Question

_Instance = Annotated[
    str | None, typer.Option("--instance", metavar="KEY", help="Of this instance only.")
]
_Outcome = Annotated[
    str | None, typer.Option("--outcome", help="applied, unchanged, stale, dead, waiting …")
]
_Unrouted = Annotated[
    bool, typer.Option("--unrouted", help="Only about offerings that nobody has configured.")
]


def listed(
    unrouted: _Unrouted = False,
    platform: Platform = None,
    app: AppName = None,
    instance: _Instance = None,
    outcome: _Outcome = None,
    limit: Limit = 50,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List what came in, the newest first."""
    from innkeeper.operations.deliveries import entry_document, walk_deliveries
    from innkeeper_console.cli.printing import print_json, print_table

    question = _question(platform, app, instance, outcome, unrouted=unrouted)
    with opened(config, data) as desk:
        entries, more = walk_deliveries(desk, question, limit)
    documents = [entry_document(entry) for entry in entries]
    if as_json:
        print_json(documents)
    else:
        columns = ("id", "received_at", "app", "instance", "order", "outcome", "size")
        print_table(columns, ([one[column] for column in columns] for one in documents))
    if more:
        say(f"there are more than {limit}: give --limit")


def show(
    delivery: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show one, with what it said; its secrets by name only."""
    from innkeeper.operations.deliveries import delivery_document, find_delivery
    from innkeeper_console.cli.printing import print_fields, print_json

    with opened(config, data) as desk:
        entry = find_delivery(desk, delivery)
        if entry is None:
            raise Failed(f"delivery {delivery} is not kept (any more)")
        document = delivery_document(desk, entry)
    if as_json:
        print_json(document)
        return
    event = document.pop("event")
    print_fields(document | {f"event.{name}": value for name, value in event.items()})


def export(
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Else standard output.")
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Bodies that hold secrets, too.")
    ] = False,
    platform: Platform = None,
    app: AppName = None,
    instance: _Instance = None,
    outcome: _Outcome = None,
    unrouted: _Unrouted = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """Write captured deliveries as JSON Lines, the oldest first, for `innkeeper replay`."""
    from innkeeper.operations.captured import write_line
    from innkeeper.operations.deliveries import export_deliveries

    question = _question(platform, app, instance, outcome, unrouted=unrouted)
    count = withheld = 0
    with opened(config, data) as desk, _target(output) as file:
        for line in export_deliveries(desk, question, with_secrets=with_secrets):
            file.write(write_line(line))
            count, withheld = count + 1, withheld + line.withheld
        file.flush()
    note = f", {withheld} of them without the body (--with-secrets)" if withheld else ""
    say(f"{count} exported{note}")


def _question(
    platform: str | None,
    app: str | None,
    instance: str | None,
    outcome: str | None,
    *,
    unrouted: bool,
) -> Question:
    from innkeeper.operations.deliveries import read_question
    from innkeeper.operations.questions import take_apart

    mark = "unrouted" if unrouted else None
    names = ("platform", "app", "instance", "outcome", "mark")
    stated = zip(names, (platform, app, instance, outcome, mark), strict=True)
    return read_question(take_apart((name, value) for name, value in stated if value is not None))


@contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    """Where the lines go: a file that only we may read, for bodies are private."""
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise Failed(f"{output}: {error.strerror}", WRONG_USAGE) from error
    with open(descriptor, "wb") as file:
        yield file


COMMANDS: Commands = {"list": listed, "show": show, "export": export}
