"""`innkeeper replay`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from innkeeper_console.cli.failing import NOT_FINE, WRONG_USAGE, Failed, say
from innkeeper_console.cli.opening import opened, read_config
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder

if TYPE_CHECKING:
    from innkeeper.config import Config
    from innkeeper.operations.captured import ReadLine
    from innkeeper.operations.replay_lines import Report
    from innkeeper.operations.resigning import Resigning

_COUNTS = ("accepted", "duplicate", "rejected", "failed", "withheld")
_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines.")]


def replay(
    file: _File,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="Post to this receiver, else the local one.")
    ] = None,
    resign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY.pem",
            exists=True,
            dir_okay=False,
            help="Sign tokens anew with this test key: new deliveries.",
        ),
    ] = None,
    into_log: Annotated[
        bool, typer.Option("--into-log", help="Append to the log, without checking signatures.")
    ] = False,
    follow_ups: Annotated[
        bool,
        typer.Option("--follow-ups", help="With --into-log: set off again what was applied."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")
    ] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Replay captured deliveries from a file."""
    if into_log and (to or resign):
        raise Failed("--into-log goes with neither --to nor --resign", WRONG_USAGE)
    if follow_ups and not into_log:
        raise Failed("--follow-ups goes with --into-log", WRONG_USAGE)
    with file.open("rb") as stream:
        if dry_run:
            report = _rehearse(stream, config, data, as_json=as_json)
        elif into_log:
            report = _append(stream, config, data, follow_ups=follow_ups)
        else:
            report = _post(stream, read_config(config, data), to, resign)
    if not dry_run:
        _tell(report, {}, as_json=as_json)
    if not report.is_fine:
        raise typer.Exit(NOT_FINE)


def _post(stream: BinaryIO, config: Config, to: str | None, resign: Path | None) -> Report:
    from innkeeper.operations.posting_replay import post_lines
    from innkeeper.outgoing import Forbidden, Outgoing

    resigning = _resigning(resign) if resign else None
    url = to or f"http://{config.receiver.bind.reached_at}"
    outgoing = Outgoing(config.outgoing.allow_hosts)
    try:
        with _lines(stream) as lines:
            return post_lines(outgoing, config, lines, to=url, resigning=resigning)
    except Forbidden as error:
        raise Failed(f"--to: {error}", WRONG_USAGE) from error
    finally:
        outgoing.close()


def _resigning(path: Path) -> Resigning:
    from innkeeper.operations.resigning import Resigning

    try:
        return Resigning(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Failed(f"{path}: no private key: {error}", WRONG_USAGE) from error


def _append(
    stream: BinaryIO, config: Path | None, data: Path | None, *, follow_ups: bool
) -> Report:
    from innkeeper.operations.into_log import append_lines, file_digest

    with opened(config, data) as desk:
        digest = file_digest(stream)
        with _lines(stream) as lines:
            return append_lines(desk, lines, digest, follow_ups=follow_ups)


def _rehearse(stream: BinaryIO, config: Path | None, data: Path | None, *, as_json: bool) -> Report:
    import msgspec

    from innkeeper.operations.into_log import rehearse_lines
    from innkeeper_console.cli.printing import print_table

    with opened(config, data) as desk, _lines(stream) as lines:
        report, changes = rehearse_lines(desk, lines)
    if not as_json:
        rows = (
            (c.instance, c.from_status, c.to_status, " ".join(c.transitions), " ".join(c.secrets))
            for c in changes
        )
        print_table(("instance", "from", "to", "transitions", "secrets"), rows)
    _tell(report, {"changes": [msgspec.structs.asdict(c) for c in changes]}, as_json=as_json)
    return report


def _tell(report: Report, more: dict[str, Any], *, as_json: bool) -> None:
    from innkeeper_console.cli.printing import print_json, shown

    counts = {name: getattr(report, name) for name in _COUNTS}
    if as_json:
        faults = [{"line": number, "why": why} for number, why in report.faults]
        print_json(counts | {"faults": faults} | more)
        return
    for number, why in report.faults:
        say(f"line {number}: {shown(why)}")
    print(", ".join(f"{name} {count}" for name, count in counts.items()))


@contextmanager
def _lines(stream: BinaryIO) -> Iterator[Iterator[ReadLine]]:
    """The lines of the file; on a terminal with a bar that moves along."""
    from innkeeper.operations.captured import read_lines

    if not sys.stderr.isatty():
        yield read_lines(stream)
        return
    from rich.console import Console
    from rich.progress import Progress

    size = stream.seek(0, 2)
    stream.seek(0)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=size)

        def moving() -> Iterator[ReadLine]:
            for line in read_lines(stream):
                progress.update(task, completed=line.end)
                yield line

        yield moving()
