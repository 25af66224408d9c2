"""`innkeeper follow-ups`."""

from __future__ import annotations

from typing import Annotated

import typer

from innkeeper_console.cli.opening import opened, read_config
from innkeeper_console.cli.options import AsJson, Commands, ConfigFile, DataFolder, Platform


def listed(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """List the configured follow-ups."""
    from innkeeper.operations.follow_ups import follow_ups_document
    from innkeeper_console.cli.printing import print_json, print_table

    documents = follow_ups_document(read_config(config, data))
    if as_json:
        print_json(documents)
        return
    print_table(
        ("name", "on", "app", "does", "timeout", "on_failure"),
        (
            (
                one["name"],
                " ".join(one["on"]),
                "/".join(filter(None, (one["platform"], one["app"]))) or "any",
                f"call {one['call']}" if one["call"] else f"post {one['post']}",
                f"{one['timeout_seconds']:g}s",
                one["on_failure"],
            )
            for one in documents
        ),
    )


def run(
    name: Annotated[str, typer.Argument(help="The follow-up.")],
    app: Annotated[str, typer.Option("--app", help="For instances of this app.")],
    status: Annotated[str, typer.Option("--status", help="Of this status.")],
    platform: Platform = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Set one off for instances that are there already. Asks nothing; twice sets off twice."""
    from innkeeper.operations.follow_ups import set_off
    from innkeeper_console.cli.printing import print_json

    with opened(config, data) as desk:
        count = set_off(desk, name, app, status, platform)
    if as_json:
        print_json({"follow_up": name, "instances": count})
    else:
        print(f"{name} is set off for {count} instances")


COMMANDS: Commands = {"list": listed, "run": run}
