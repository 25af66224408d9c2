"""`innkeeper instances`."""

from __future__ import annotations

from typing import Annotated

import typer

from innkeeper_console.cli.failing import Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import (
    AppName,
    AsJson,
    Commands,
    ConfigFile,
    DataFolder,
    InstanceName,
    Limit,
    Platform,
)

_COLUMNS = ("id", "status", "confirmed", "customer", "version", "updated_at")


def listed(
    status: Annotated[str | None, typer.Option(help="In this status only; a,b or !a.")] = None,
    platform: Platform = None,
    app: AppName = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=VALUE", help="A filter of the API: updated_at=>=2026-11-24."),
    ] = None,
    sort: Annotated[
        str, typer.Option(help="id, created_at or updated_at; -id: the last first.")
    ] = "id",
    fields: Annotated[str | None, typer.Option(help="With --json: these fields only.")] = None,
    limit: Limit = 1000,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the register."""
    from innkeeper.operations.documents import instance_document
    from innkeeper.operations.instances import read_question, walk_instances
    from innkeeper.operations.questions import BadQuestion, take_apart
    from innkeeper_console.cli.printing import print_json, print_table

    pairs = [("sort", sort)]
    stated = (("status", status), ("platform", platform), ("app_offering", app), ("fields", fields))
    pairs += [(name, value) for name, value in stated if value is not None]
    for one in where or ():
        name, equals, value = one.partition("=")
        if not equals:
            raise BadQuestion(f"--where {one[:80]!r} is not of the form FIELD=VALUE")
        pairs.append((name, value))
    question = read_question(take_apart(pairs))
    with opened(config, data) as desk:
        lines, more = walk_instances(desk, question, limit)
    documents = [instance_document(line, question.fields) for line in lines]
    if as_json:
        print_json(documents)
    else:
        whole = [instance_document(line) for line in lines]
        print_table(
            _COLUMNS,
            (
                (
                    one["id"], one["status"], one["confirmed"],
                    one["customer_account"]["name"], one["version"], one["updated_at"],
                )
                for one in whole
            ),
        )  # fmt: skip
    if more:
        say(f"there are more than {limit}: give --limit")


def show(
    key: InstanceName,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show one instance with all its facts; its secrets by name and date only."""
    from innkeeper.operations.documents import INSTANCE_FIELDS, instance_document
    from innkeeper.operations.instances import find_instance, read_key
    from innkeeper.operations.policies import policies_of, policy_document
    from innkeeper.operations.reasons import secrets_of
    from innkeeper_console.cli.printing import print_fields, print_json, print_table

    name = read_key(key)
    with opened(config, data) as desk:
        line = find_instance(desk, name)
        if line is None:
            raise Failed(f"there is no instance {key}")
        policies = [policy_document(policy) for policy in policies_of(desk, line.instance)]
    document = instance_document(line, INSTANCE_FIELDS)
    secrets = secrets_of(line.instance)
    if as_json:
        print_json(document | {"secrets": secrets, "signing_policies": policies})
        return
    print_fields(document)
    for title, rows in (("secrets", secrets), ("signing policies", policies)):
        if rows:
            print(f"\n{title}")
            print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))


COMMANDS: Commands = {"list": listed, "show": show}
