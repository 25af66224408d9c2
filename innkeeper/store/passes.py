"""Passes over a marketplace's list: how far each app's have come, who is at one, what it has seen.

Used by reconcile. One holder at a time; each pass has a number of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.store.connection import Command, Store, script
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of

LEASE_SECONDS = 15
_RENEW_SECONDS = LEASE_SECONDS / 3
_SEEN_SECONDS = 2 * 86400
_PIECE = 500


class Drift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pass found to differ between the marketplace's list and the register.

    `held`: vanished instances that were too many to be believed at once. `secrets_missing`:
    customers who are there without any secret in force, and since when nothing came in of them; at
    most a hundred, `secrets_missing_count` all.
    """

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    seen: int = 0
    adopted: int = 0
    missed_installs: int = 0
    missed_removals: int = 0
    differing: int = 0
    held: int = 0
    secrets_missing: dict[str, datetime] = {}
    secrets_missing_count: int = 0


class PassState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an app's passes stand; times in seconds since the epoch.

    `adopted`: its first full pass in this store has ended. `held_since`: since when vanished
    instances are held. `error`: why the last pass broke off; `failures` so many did in a row, and
    `not_before` says when to try again.
    """

    number: int = 0
    started_at: float = 0.0
    adopted: bool = False
    held_since: float | None = None
    error: str = ""
    failures: int = 0
    not_before: float = 0.0
    drift: Drift | None = None


def state_commands(apps: Iterable[InstanceKey]) -> list[Command]:
    """The calls that read how the passes of apps (their pseudo-instances) stand."""
    return [("GET", keys_of(partition_of(app)).passes + str(app)) for app in apps]


def read_states(answers: Iterable[bytes | None]) -> list[PassState]:
    """What the store answered to `state_commands`."""
    return [msgspec.json.decode(a, type=PassState) if a else PassState() for a in answers]


class Passes:
    """Reads and writes the passes. Raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store
        self._holder = uuid.uuid4().hex

    def states(self, apps: Sequence[InstanceKey]) -> list[PassState]:
        """How the passes of apps (their pseudo-instances) stand."""
        return read_states(self._store.batch(state_commands(apps))) if apps else []

    def set(self, app: InstanceKey, state: PassState) -> None:
        """Note how an app's passes stand."""
        self._store.command("SET", self._name(app), msgspec.json.encode(state))

    def begin(self, app: InstanceKey) -> bool:
        """Take the lease; False if somebody is at a pass."""
        lease = f"{self._name(app)}:lease"
        return bool(self._store.command("SET", lease, self._holder, "NX", "EX", LEASE_SECONDS))

    def go_on(self, app: InstanceKey) -> bool:
        """Lengthen the lease; False if it has passed to another."""
        lease = f"{self._name(app)}:lease"
        call = script("extend").call([lease], [self._holder, LEASE_SECONDS * 1000])
        return bool(self._store.command(*call))

    @contextmanager
    def kept(self, app: InstanceKey) -> Iterator[None]:
        """Lengthen the lease all through the block, however long the marketplace takes to answer.

        So that it may be short: it is the time for which a pass lies idle when its process dies.
        """
        ended = Event()
        renewing = Thread(target=self._renew, args=(app, ended), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()

    def end(self, app: InstanceKey) -> None:
        """Give the lease back."""
        self._store.command(*script("yield").call([f"{self._name(app)}:lease"], [self._holder]))

    def see(self, app: InstanceKey, number: int, accounts: Iterable[str]) -> None:
        """Remember the accounts that a pass has seen."""
        listed = list(accounts)
        if listed:
            name = self._seen(app, number)
            self._store.batch([("SADD", name, *listed), ("EXPIRE", name, _SEEN_SECONDS)])

    def unseen(self, app: InstanceKey, number: int, accounts: Sequence[str]) -> list[str]:
        """Which of the accounts a pass has not seen."""
        unseen: list[str] = []
        for start in range(0, len(accounts), _PIECE):
            piece = accounts[start : start + _PIECE]
            known = self._store.command("SMISMEMBER", self._seen(app, number), *piece)
            unseen += [a for a, seen in zip(piece, known, strict=True) if not seen]
        return unseen

    def forget_seen(self, app: InstanceKey, number: int) -> None:
        """Drop what a pass has seen."""
        self._store.command("UNLINK", self._seen(app, number))

    def _renew(self, app: InstanceKey, ended: Event) -> None:
        while not ended.wait(_RENEW_SECONDS):
            try:
                if not self.go_on(app):
                    return
            except (StoreError, StoreUnavailable):
                continue  # the pass itself will say so

    def _name(self, app: InstanceKey) -> str:
        return keys_of(partition_of(app)).passes + str(app)

    def _seen(self, app: InstanceKey, number: int) -> str:
        return f"{keys_of(partition_of(app)).seen}{app}:{number}"
