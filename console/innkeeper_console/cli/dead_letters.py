"""`innkeeper dead-letters`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from innkeeper_console.cli.failing import Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, Commands, ConfigFile, DataFolder, Limit

if TYPE_CHECKING:
    from innkeeper.operations.desk import Desk
    from innkeeper.store.dead_letters import DeadLetter

_Ids = Annotated[list[str], typer.Argument(metavar="ID…")]
_All = Annotated[bool, typer.Option("--all", help="All that there are.")]


def listed(
    limit: Limit = 100,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List what failed, the newest first."""
    from innkeeper.operations.dead_letters import letter_document
    from innkeeper_console.cli.printing import print_json, print_table

    with opened(config, data) as desk:
        found = desk.dead_letters.newest(limit)
        count = desk.dead_letters.count()
    documents = [letter_document(letter) for letter in found]
    if as_json:
        print_json(documents)
    else:
        columns = ("id", "at", "instance", "name", "attempts", "error")
        print_table(columns, ([one[column] for column in columns] for one in documents))
    if count > len(found):
        say(f"there are {count}: give --limit")


def show(
    letter: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show one, with its traceback, from which secrets are taken out."""
    from innkeeper.operations.dead_letters import letter_document
    from innkeeper_console.cli.printing import print_fields, print_json, shown

    with opened(config, data) as desk:
        document = letter_document(_find(desk, letter), detail=True)
    if as_json:
        print_json(document)
        return
    detail = document.pop("detail")
    print_fields(document)
    for line in (detail or "").splitlines():
        print(shown(line))


def requeue(
    letters: _Ids = [],  # noqa: B006 - typer reads the default, nobody changes it
    every: _All = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Take some up again: a follow-up from its first attempt, a delivery by a replay."""
    from innkeeper.operations import dead_letters
    from innkeeper_console.cli.printing import print_json, print_table

    with opened(config, data) as desk:
        chosen = _choose(desk, letters, every=every)
        done = [(letter.id, dead_letters.requeue(desk, letter)) for letter in chosen]
    if as_json:
        print_json([{"id": id_, "delivery": delivery} for id_, delivery in done])
    else:
        print_table(("requeued", "as delivery"), done)


def drop(
    letters: _Ids = [],  # noqa: B006 - typer reads the default, nobody changes it
    every: _All = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Let some go for good; lanes that they blocked go on."""
    from innkeeper.operations import dead_letters
    from innkeeper_console.cli.printing import print_json, print_table

    with opened(config, data) as desk:
        chosen = _choose(desk, letters, every=every)
        done = [letter.id for letter in chosen if dead_letters.drop(desk, letter)]
    if as_json:
        print_json([{"id": id_} for id_ in done])
    else:
        print_table(("dropped",), ([id_] for id_ in done))


def _choose(desk: Desk, letters: list[str], *, every: bool) -> list[DeadLetter]:
    """The letters named, or all, the oldest first; all of them are looked up before any is used."""
    if every == bool(letters):
        raise Failed("give IDs, or --all", 2)
    if every:
        return desk.dead_letters.newest(desk.dead_letters.count())[::-1]
    return [_find(desk, letter) for letter in letters]


def _find(desk: Desk, letter: str) -> DeadLetter:
    from innkeeper.operations.dead_letters import find_dead_letter

    found = find_dead_letter(desk, letter)
    if found is None:
        raise Failed(f"there is no dead letter {letter}")
    return found


COMMANDS: Commands = {"list": listed, "show": show, "requeue": requeue, "drop": drop}
