"""The services, alone or all at once, and the sweep."""

from __future__ import annotations

import os

import typer

from innkeeper_console.cli.opening import opened, read_config
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder


def up(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Run the store, the receiver, the workers and the console, until Ctrl-C."""
    from innkeeper import runtime
    from innkeeper.config import load_config
    from innkeeper_console.up import run_up

    runtime.follow_parent()
    read = load_config(config, os.environ, data=data, generate=True)
    code = run_up(read, config_path=config, echo=lambda line: print(line, flush=True))
    raise typer.Exit(code)


def receiver(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Run the receiver alone: the HTTP edge that takes deliveries in."""
    from innkeeper import runtime
    from innkeeper.config import require_keys

    runtime.follow_parent()
    read = read_config(config, data)
    require_keys(read)
    from innkeeper_receiver.serving import serve

    serve(read)


def worker(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Run the workers alone: they apply deliveries and perform follow-ups."""
    from innkeeper import runtime
    from innkeeper.config import require_keys

    runtime.follow_parent()
    read = read_config(config, data)
    require_keys(read)
    from innkeeper_workers.supervisor import run

    run(read)


def console(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Run the console alone: the operators' HTTP API."""
    from innkeeper import runtime

    runtime.follow_parent()
    read = read_config(config, data)
    from innkeeper_console.serving import serve

    serve(read)


def sweep(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Ring for whatever is due, as the workers do every second."""
    from innkeeper_console.cli.printing import print_fields, print_json
    from innkeeper_workers import sweep as sweeping

    with opened(config, data) as desk:
        swept = sweeping.sweep(desk)
    document = {
        "partitions_behind": swept.behind,
        **{f"partitions_due_{bell}": count for bell, count in swept.due.items()},
        "partitions_stopped": swept.stopped,
    }
    (print_json if as_json else print_fields)(document)
