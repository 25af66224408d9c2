"""`innkeeper secrets rotate` and `forget`. Shows no key, only ids by which keys are told apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from innkeeper_console.cli.failing import NOT_FINE, WRONG_USAGE, Failed, say
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, Commands, ConfigFile, DataFolder, InstanceName

if TYPE_CHECKING:
    from innkeeper.lifecycle.events import InstanceKey
    from innkeeper.operations.desk import Desk
    from innkeeper.operations.rotating import Progress, Rotated

_ONE_KEY = (
    "INNKEEPER_SECRET_KEYS holds one key. Put a new one in front of it, with a comma between "
    "(`openssl rand -base64 32`), start every service anew with both, and run this again"
)
_AGAIN = "run this again once they have"
_ELSEWHERE = (
    "Receivers' notes of what they accepted, a spool that is not drained, logs and backups may "
    "still name it: see docs/operations.md"
)


def rotate(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Encrypt everything with a new key, beside running services, and retire the old ones."""
    from innkeeper.config.key_file import KeysBusy
    from innkeeper.operations.rotating import OneKey
    from innkeeper.operations.rotating import rotate as rotate_keys
    from innkeeper_console.cli.printing import print_json

    with opened(config, data) as desk, _progress() as progress:
        try:
            rotated = rotate_keys(desk, progress)
        except OneKey as error:
            raise Failed(_ONE_KEY) from error
        except KeysBusy as error:
            raise Failed(str(error)) from error
        except OSError as error:
            raise Failed(f"the key file cannot be written: {error.strerror}") from error
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(rotated))
    else:
        _tell(rotated)
    if rotated.kept is not None:
        say(f"the old keys are still needed: {rotated.kept}. Run this again once that is mended")
        raise typer.Exit(NOT_FINE)


def forget(
    key: InstanceName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Erase a customer: record, secrets, history, work and deliveries. There is no way back."""
    import msgspec

    from innkeeper.operations import forgetting
    from innkeeper.operations.instances import read_key
    from innkeeper_console.cli.printing import print_fields, print_json

    name = read_key(key)
    if name.is_pseudo:
        raise Failed(f"{key} stands for what belongs to no customer: it is not forgotten", 2)
    with opened(config, data) as desk:
        _ask(desk, name, yes=yes)
        try:
            forgotten = forgetting.forget(desk, name)
        except forgetting.NotYetForgotten as error:
            raise Failed(
                f"{key} is not forgotten yet, for the workers have not come to it: {_AGAIN}"
            ) from error
        except forgetting.CannotForget as error:
            raise Failed(f"{key} is not forgotten, and cannot be as it stands: {error}") from error
    (print_json if as_json else print_fields)(msgspec.to_builtins(forgotten))
    say(_ELSEWHERE)


def _ask(desk: Desk, name: InstanceKey, *, yes: bool) -> None:
    """Have it confirmed at the terminal. Raises Failed where it must not be done."""
    from innkeeper.lifecycle.instance import Status
    from innkeeper.operations.forgetting import known, tombstone

    found = known(desk, name)
    if found is None:
        before = tombstone(desk, name)
        when = f": it was forgotten at {before.at.isoformat()}" if before else ""
        raise Failed(f"there is no instance {name}{when}")
    if found.status not in (None, Status.REMOVED):
        say(f"{name} is {found.status}, not removed: its next delivery makes a new instance of it")
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failed("nobody can be asked here: give --yes", WRONG_USAGE)
    if not typer.confirm(f"Forget {name} for good?", err=True):
        raise Failed("nothing was done")


def _tell(rotated: Rotated) -> None:
    counts = [f"{kind} {count}" for kind, count in sorted(rotated.resealed.items())]
    print(f"encrypted anew: {', '.join(counts) or 'nothing'}")
    if rotated.damaged:
        print(f"damaged, so that no key opens them: {rotated.damaged}")
    print(f"the key {rotated.key} encrypts now")
    if rotated.retired:
        print(f"{rotated.retired} of the old keys went to {rotated.retired_to}: delete that file")
        print("when no older backup of the store is needed any more")
    for id_ in rotated.may_go:
        print(f"the key {id_} is not needed any more: take it out, and start the services anew")


@contextmanager
def _progress() -> Iterator[Progress]:
    """On a terminal a bar for each pass."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rotating")

        def move(number: int, done: int, total: int) -> None:
            bar.update(task, description=f"pass {number}", completed=done, total=total)

        yield move


COMMANDS: Commands = {"rotate": rotate}
