"""`innkeeper rejected`."""

from __future__ import annotations

from typing import Annotated

import typer

from innkeeper_console.cli.failing import NOT_FINE, WRONG_USAGE, Failed, say
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

_Reason = Annotated[str | None, typer.Option("--reason", help="Refused for this reason only.")]
_Id = Annotated[str, typer.Argument(metavar="ID")]


def listed(
    reason: _Reason = None,
    platform: Platform = None,
    app: AppName = None,
    limit: Limit = 100,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List what was refused, the newest first."""
    from innkeeper.operations.rejected import find_all, rejection_document
    from innkeeper_console.cli.printing import print_json, print_table

    with opened(config, data) as desk:
        found = find_all(desk, reason=reason, platform=platform, app=app)
    documents = [rejection_document(one) for one in found[:limit]]
    if as_json:
        print_json(documents)
    else:
        columns = ("id", "received_at", "platform", "app", "reason", "detail")
        print_table(columns, ([one[column] for column in columns] for one in documents))
    if len(found) > limit:
        say(f"there are {len(found)}: give --limit")


def show(
    rejection: _Id,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show one, with the headers that it bore."""
    from innkeeper.operations.rejected import find_rejected, rejection_document
    from innkeeper_console.cli.printing import print_fields, print_json

    with opened(config, data) as desk:
        found = find_rejected(desk, rejection)
    if found is None:
        raise Failed(f"there is no refused delivery {rejection}")
    document = rejection_document(found, headers=True)
    (print_json if as_json else print_fields)(document)


def retry(
    rejection: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    reason: _Reason = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Verify again with today's policies: one, those of a reason, or all."""
    import msgspec

    from innkeeper.operations import rejected
    from innkeeper_console.cli.printing import print_json, print_table

    if rejection is not None and reason is not None:
        raise Failed("give an ID or --reason, not both", WRONG_USAGE)
    with opened(config, data) as desk:
        if rejection is None:
            chosen = rejected.find_all(desk, reason=reason)
        else:
            found = rejected.find_rejected(desk, rejection)
            if found is None:
                raise Failed(f"there is no refused delivery {rejection}")
            chosen = [found]
        results = rejected.retry(desk, chosen)
    if as_json:
        print_json([msgspec.structs.asdict(one) for one in results])
    else:
        rows = ((one.id, one.status, one.delivery, one.reason, one.detail) for one in results)
        print_table(("id", "status", "delivery", "reason", "detail"), rows)
    if any(one.status == "rejected" for one in results):
        raise typer.Exit(NOT_FINE)


COMMANDS: Commands = {"list": listed, "show": show, "retry": retry}
