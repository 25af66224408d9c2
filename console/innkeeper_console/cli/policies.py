"""`innkeeper policies`."""

from __future__ import annotations

from typing import Annotated

import typer

from innkeeper_console.cli.failing import Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import (
    AsJson,
    Commands,
    ConfigFile,
    DataFolder,
    InstanceName,
    Limit,
)


def listed(
    limit: Limit = 1000,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the learned policies that are in force."""
    from innkeeper.operations.policies import list_policies, policy_document
    from innkeeper_console.cli.printing import print_json, print_table

    with opened(config, data) as desk:
        found = list_policies(desk)
    documents = [policy_document(policy) for policy in found[:limit]]
    if len(found) > limit:
        say(f"there are {len(found)}: give --limit")
    if as_json:
        print_json(documents)
        return
    columns = ("instance", "fingerprint", "state", "algorithm", "since", "until")
    print_table(columns, ([one[column] for column in columns] for one in documents))


def revoke(
    key: InstanceName,
    fingerprint: Annotated[
        str | None, typer.Argument(help="Of which policy; else the previous one in its grace.")
    ] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Take a learned policy out of force; with the current one the previous one goes, too."""
    from innkeeper.operations import policies
    from innkeeper.operations.instances import read_key
    from innkeeper_console.cli.printing import print_json

    name = read_key(key)
    with opened(config, data) as desk:
        try:
            revoked = policies.revoke(desk, name, fingerprint)
        except policies.NotInForce as error:
            raise Failed(str(error)) from error
    if as_json:
        print_json({"instance": key, "revoked": revoked})
    else:
        print(f"{key}: {revoked} goes out of force")


COMMANDS: Commands = {"list": listed, "revoke": revoke}
