"""Which layout the store has, and which store it is.

Every service calls `prepare` at its start. A newer layout is refused, an older one migrated, and
the epoch, made with the store, tells a wiped or exchanged store from the one we knew.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from innkeeper.store.connection import Command, Store
from innkeeper.store.errors import StoreError, StoreRefused
from innkeeper.store.keys import EPOCH, SCHEMA

Migration = Callable[[Store], None]


def _make_epoch(store: Store) -> None:
    store.command("SET", EPOCH, str(uuid.uuid4()), "NX")


MIGRATIONS: tuple[Migration, ...] = (_make_epoch,)
"""Number n leads from layout n to n + 1; an empty store has layout 0. Each may run twice."""

_LOCK = "ik:migrating"
_LOCK_SECONDS = 60


def prepare(store: Store, migrations: tuple[Migration, ...] = MIGRATIONS) -> str:
    """Bring the store to this version's layout; its epoch.

    Raises StoreRefused for a newer layout, StoreError, StoreUnavailable.
    """
    while (version := _version(store)) < len(migrations):
        token = str(uuid.uuid4())
        if not store.command("SET", _LOCK, token, "NX", "EX", _LOCK_SECONDS):
            time.sleep(0.05)
            continue
        try:
            if _version(store) == version:
                migrations[version](store)
                store.command("SET", SCHEMA, version + 1)
        finally:
            if store.command("GET", _LOCK) == token.encode():
                store.command("DEL", _LOCK)
    if version > len(migrations):
        raise StoreRefused(
            f"the store has layout {version}, this version of Innkeeper knows {len(migrations)}: "
            "it was written by a newer Innkeeper; run that one"
        )
    if epoch_of(store) is None:
        # Wiped between the two looks, or the key was deleted alone.
        _make_epoch(store)
    return epoch_of(store) or ""


class Sighting(NamedTuple):
    """Which store it is: its epoch, None when it has been wiped; the id of the server's run.

    `run`: another one after each start of the server; empty where the server hides it.
    """

    epoch: str | None
    run: str


SIGHTING_COMMANDS: tuple[Command, ...] = (("GET", EPOCH), ("INFO", "server"))


def read_sighting(answers: Sequence[Any]) -> Sighting:
    """What the store answered to `SIGHTING_COMMANDS`. Raises StoreError."""
    epoch, info = answers
    if isinstance(epoch, StoreError):
        raise epoch
    if isinstance(info, bytes):
        # The synchronous client takes INFO apart by itself.
        info = dict(line.partition(":")[::2] for line in info.decode().split("\r\n"))
    run = "" if isinstance(info, StoreError) else str(info.get("run_id", ""))
    return Sighting(epoch.decode() if epoch is not None else None, run)


def epoch_of(store: Store) -> str | None:
    """The store's epoch; None when it has been wiped."""
    answer = store.command("GET", EPOCH)
    return answer.decode() if answer is not None else None


def _version(store: Store) -> int:
    return int(store.command("GET", SCHEMA) or 0)
