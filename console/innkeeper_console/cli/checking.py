"""`innkeeper check`."""

from __future__ import annotations

import typer

from innkeeper_console.cli.failing import WRONG_USAGE, say
from innkeeper_console.cli.opening import read_config
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder


def check(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Tell all that is wrong with the configuration, and whether each follow-up can be called."""
    from innkeeper.config import ConfigFaults
    from innkeeper.operations.checking import check_follow_ups
    from innkeeper_console.cli.printing import print_json

    source = None
    try:
        read = read_config(config, data)
        source, faults = read.source, check_follow_ups(read)
        found = f"{len(read.apps)} apps, {len(read.follow_ups)} follow-ups"
    except ConfigFaults as error:
        faults, found = list(error.faults), ""
    if as_json:
        listed = [{"path": fault.path, "message": fault.message} for fault in faults]
        print_json({"config": str(source) if source else None, "faults": listed})
    elif faults:
        for fault in faults:
            say(str(fault))
    else:
        print(f"{source or 'no configuration file'}: fine ({found})")
    if faults:
        raise typer.Exit(WRONG_USAGE)
