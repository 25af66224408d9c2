"""`innkeeper connect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from innkeeper_console.cli.failing import Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder

if TYPE_CHECKING:
    from innkeeper.platforms.connecting import Step


def connect(
    app: Annotated[str, typer.Argument(metavar="APP", help="name, or platform/name")],
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Register what an app's deliveries need at its marketplace; again, it changes nothing."""
    from innkeeper.operations.connecting import connect as connecting
    from innkeeper.operations.offerings import find_app
    from innkeeper_console.cli.printing import print_json

    steps: list[Step] = []
    with opened(config, data) as desk:
        try:
            # Each is told at once: a key file must be known of whatever fails after it.
            for step in connecting(desk, find_app(desk.config, app)):
                steps.append(step)
                _tell(step, as_json)
        except OSError as error:
            raise Failed(f"{error.filename}: {error.strerror}") from error
    if as_json:
        print_json(
            {
                "app": app,
                "changed": [step.what for step in steps if step.changed],
                "unchanged": [one.what for one in steps if not (one.changed or one.configuration)],
                "key_file": next((step.key_file for step in steps if step.key_file), None),
                "configuration": next((s.configuration for s in steps if s.configuration), None),
            }
        )
    elif not any(step.changed for step in steps):
        print("nothing was changed")


def _tell(step: Step, as_json: bool) -> None:
    if not as_json:
        print(step.what, flush=True)
        if step.configuration:
            print(f"\n{step.configuration}\n")
    elif step.changed:
        say(step.what)
