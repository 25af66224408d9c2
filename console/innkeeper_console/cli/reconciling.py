"""`innkeeper reconcile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from innkeeper_console.cli.failing import NOT_FINE, WRONG_USAGE, Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder, Platform

if TYPE_CHECKING:
    from innkeeper.config import App
    from innkeeper.operations.desk import Desk

_COLUMNS = (
    "platform", "app", "seen", "adopted", "missed_installs", "missed_removals", "differing",
    "held", "secrets_missing", "outcome",
)  # fmt: skip


def reconcile(
    name: Annotated[
        str | None, typer.Argument(metavar="[APP]", help="This app; else all with an API.")
    ] = None,
    accept_removals: Annotated[
        bool,
        typer.Option("--accept-removals", help="Who has vanished is gone, however many they are."),
    ] = False,
    platform: Platform = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare the register with the marketplaces' lists now, and mend what was missed."""
    with opened(config, data) as desk:
        apps = _chosen(desk, name, platform)
        documents = [_reconcile(desk, app, accept_removals=accept_removals) for app in apps]
    _print(documents, as_json=as_json)
    if any(one["outcome"] != "ended" or one["held"] for one in documents):
        raise typer.Exit(NOT_FINE)


def _chosen(desk: Desk, name: str | None, platform: str | None) -> list[App]:
    from innkeeper.operations.pass_times import with_passes

    named = [
        app
        for app in desk.config.apps
        if name in (None, app.name) and platform in (None, app.platform)
    ]
    if name is not None and not named:
        raise Failed(f"no app {name} is configured", WRONG_USAGE)
    apps = with_passes(named)
    if not apps:
        raise Failed(f"{name or 'no app'} has {'no' if name else 'an'} API configured", WRONG_USAGE)
    return apps


def _reconcile(desk: Desk, app: App, *, accept_removals: bool) -> dict[str, Any]:
    from innkeeper.operations.pass_times import note_failure
    from innkeeper.operations.reconcile import LeaseLost, Pass, drift_document
    from innkeeper.platforms.api_errors import ApiError

    made, outcome, error = Pass(desk, app, accept_removals=accept_removals), "ended", None
    try:
        made.run()
    except LeaseLost as lost:
        outcome, error = "under way elsewhere", str(lost)
    except ApiError as broken:
        outcome, error = "broke off", note_failure(desk, app, broken).error
    which = {"platform": app.platform, "app": app.name, "outcome": outcome, "error": error}
    return which | drift_document(made.drift)


def _print(documents: list[dict[str, Any]], *, as_json: bool) -> None:
    from innkeeper_console.cli.printing import print_json, print_table, shown

    if as_json:
        print_json(documents)
        return
    counted = [one | {"secrets_missing": one["secrets_missing_count"]} for one in documents]
    print_table(_COLUMNS, ([one[column] for column in _COLUMNS] for one in counted))
    for one in documents:
        for key, since in one["secrets_missing"].items():
            print(f"{shown(key)} has given no secrets; nothing has come in since {since}")
        if one["held"]:
            print(
                f"{one['platform']}/{one['app']}: {one['held']} have vanished at once and are held:"
                " --accept-removals believes it"
            )
        if one["error"]:
            say(f"{one['platform']}/{one['app']}: {shown(one['error'])}")
