"""What commands have in common: their options, and groups that list where no command is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; else INNKEEPER_CONFIG, else ./innkeeper.toml.",
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The data folder; else INNKEEPER_DATA, else ./.innkeeper."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="List at most so many.")]
Platform = Annotated[str | None, typer.Option("--platform", help="Of this marketplace only.")]
AppName = Annotated[str | None, typer.Option("--app", help="Of this app only.")]
InstanceName = Annotated[str, typer.Argument(metavar="KEY", help="platform/app/account")]

Commands = dict[str, Callable[..., None]]
"""The commands of a group by name."""


class ListingGroup(TyperGroup):
    """A group whose first command is `list`, which may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` in front where options stand alone, or nothing at all."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


class ListingOfGroup(ListingGroup):
    """A group whose `list` takes an argument: what names no command is that argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` in front where no command is named."""
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


def group(
    parent: typer.Typer,
    name: str,
    help_: str,
    commands: Commands,
    cls: type[ListingGroup] = ListingGroup,
) -> None:
    """Add a group of commands."""
    made = typer.Typer(cls=cls, help=f"{help_} Alone: list.", rich_markup_mode=None)
    for command, function in commands.items():
        made.command(command)(function)
    parent.add_typer(made, name=name)


def plain_group(parent: typer.Typer, name: str, help_: str, commands: Commands) -> None:
    """Add a group of commands of which one has to be named."""
    made = typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode=None)
    for command, function in commands.items():
        made.command(command)(function)
    parent.add_typer(made, name=name)
