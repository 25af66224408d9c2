"""The spool at work: puts in what the store cannot take, and drains it once the store is back.

Whatever the receivers of this host take in goes behind what the spool holds, and one of them
drains it, in order of arrival. A delivery leaves the spool only after the append's answer.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.logs import get_logger
from innkeeper.spool import Held, Spool, SpoolState, SpoolUnavailable
from innkeeper.store.connection import AsyncStore
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.log import (
    Appended,
    Prepared,
    append_command,
    entries_of,
    grouped,
    read_appended,
    resolving_commands,
)

LOOK_SECONDS = 1.0
_LOCK_FILE = "spool.lock"
_BATCH = 500
_REFUSED_IN_A_ROW = 3
_REFUSES_SECONDS = 10.0
"""How long a delivery that could not be put in counts: a full disk does not show in the file."""
T = TypeVar("T")
log = get_logger()


class Spooling:
    """The spool of one receiver process. `state`: as of the last second."""

    def __init__(
        self,
        data: Path,
        *,
        most_bytes: int,
        store: AsyncStore,
        usable: Callable[[], bool],
        on_stored: Callable[[], None],
    ) -> None:
        """`usable`: whether the store may be tried. `on_stored` is called after each batch."""
        self._data = data
        self._most_bytes = most_bytes
        self._store = store
        self._usable = usable
        self._on_stored = on_stored
        # SQLite waits for the disk: so in a thread. The look before each flush does not, and has a
        # connection of its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._spool: Spool | None = None
        self._looking: Spool | None = None
        self._refused: set[DeliveryId] = set()
        self._looked_at = 0.0
        self._refuses_until = 0.0
        self.state = SpoolState(error="not opened yet")

    def open(self) -> None:
        """Open the file; where that fails, it is tried again every second."""
        try:
            self._looking = Spool(self._data, most_bytes=self._most_bytes)
            self._spool = Spool(self._data, most_bytes=self._most_bytes)
            self._say(self._spool.state(now=time.time()))
        except SpoolUnavailable as error:
            self._looking = self._spool = None
            self._say(SpoolState(error=str(error)))

    @property
    def takes(self) -> bool:
        """Whether a delivery can be put in, as far as the last one tells."""
        refused = time.monotonic() < self._refuses_until
        return self.state.error is None and self.state.bytes < self._most_bytes and not refused

    def in_use(self) -> bool:
        """Whether it holds what has to be in the log before anything that comes now."""
        try:
            return self._looking is not None and self._looking.holds(now=time.time())
        except SpoolUnavailable as error:
            self._say(SpoolState(error=str(error)))
            return False

    async def put(self, entries: Sequence[Prepared]) -> list[Appended]:
        """Put in all of `entries` or none. Raises SpoolUnavailable."""
        spool = self._opened()
        try:
            told = await self._in_thread(partial(spool.put, entries, now=time.time()))
        except SpoolUnavailable:
            self._refuses_until = time.monotonic() + _REFUSES_SECONDS
            raise
        self._refuses_until = 0.0
        return told

    async def run(self) -> None:
        """Drain for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._spool is None:
                    self.open()
                if self._usable() and self.in_use():
                    await self._drain_if_ours()
                await self._look()
            except SpoolUnavailable as error:
                self._say(SpoolState(error=str(error)))

    async def close(self) -> None:
        """Let what is under way end, and close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        for spool in filter(None, (self._spool, self._looking)):
            spool.close()

    async def _look(self) -> None:
        spool = self._opened()
        self._say(await self._in_thread(partial(spool.state, now=time.time())))
        self._looked_at = time.monotonic()

    async def _drain_if_ours(self) -> None:
        with self._drains() as ours:
            if ours:
                try:
                    await self._drain()
                except (StoreUnavailable, StoreError) as error:
                    log.warning("spool.waits", error=str(error))

    async def _drain(self) -> None:
        """Until nothing is left that the store takes."""
        spool, refused, drained = self._opened(), set[int](), 0
        while self._usable():
            held = await self._in_thread(
                partial(spool.oldest, _BATCH, now=time.time(), without=refused)
            )
            if not held:
                break
            stored = await self._append(held, refused)
            await self._in_thread(partial(spool.drop, stored))
            drained += len(stored)
            self._on_stored()
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                await self._look()
        if drained:
            log.info("spool.drained", deliveries=drained, partitions_refused=len(refused))

    async def _append(self, held: Sequence[Held], refused: set[int]) -> list[Held]:
        """Append; those that are in the log now. A partition that does not take one is `refused`.

        Raises StoreUnavailable, StoreError.
        """
        groups = _first_groups(held)
        answers = await self._store.attempt([append_command(entries_of(g)) for g in groups])
        stored: list[tuple[Held, Appended]] = []
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, StoreError):
                refused.add(group[0].entry.partition)
                stored += await self._one_by_one(group)
            else:
                stored += zip(group, read_appended(entries_of(group), answer), strict=True)
        await self._resolve(stored)
        return [one for one, _ in stored]

    async def _one_by_one(self, group: Sequence[Held]) -> list[tuple[Held, Appended]]:
        """What the partition takes of a group that it does not take whole; it may be one that
        spoils it, and is left behind. Three in a row are not that: there it ends."""
        stored: list[tuple[Held, Appended]] = []
        row = 0
        for one in group:
            (answer,) = await self._store.attempt([append_command([one.entry])])
            if isinstance(answer, StoreError):
                self._say_refused(one.entry.delivery, answer)
                row += 1
                if row == _REFUSED_IN_A_ROW:
                    break
            else:
                row = 0
                stored += zip([one], read_appended([one.entry], answer), strict=True)
        return stored

    async def _resolve(self, stored: Sequence[tuple[Held, Appended]]) -> None:
        """What turned out to be a duplicate was told as accepted: its id must lead to the first."""
        commands = [
            command
            for one, result in stored
            if result.duplicate
            for command in resolving_commands(one.entry, result.delivery, now=time.time())
        ]
        for answer in await self._store.attempt(commands) if commands else []:
            if isinstance(answer, StoreError):
                raise answer

    @contextmanager
    def _drains(self) -> Iterator[bool]:
        """Whether it is this process that drains: the lock goes with the process."""
        try:
            lock = os.open(self._data / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:  # too many open files, for one: the next second may have room
            raise SpoolUnavailable(f"nothing can be drained: {error}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)

    def _opened(self) -> Spool:
        if self._spool is None:
            raise SpoolUnavailable(self.state.error or "the spool is not open")
        return self._spool

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _say_refused(self, delivery: DeliveryId, error: StoreError) -> None:
        """Once for each: it is tried again every second."""
        if delivery not in self._refused:
            log.error("spool.refused", delivery=delivery, error=str(error))
        self._refused.add(delivery)

    def _say(self, state: SpoolState) -> None:
        if state.error != self.state.error and state.error is not None:
            log.error("spool.unavailable", error=state.error)
        elif bool(state.deliveries) != bool(self.state.deliveries) and state.deliveries:
            log.warning("spool.in_use", deliveries=state.deliveries)
        if not state.deliveries:
            self._refused.clear()
        self.state = state


def _first_groups(held: Sequence[Held]) -> list[list[Held]]:
    """One call a partition: what comes behind a call that fails must not get past it."""
    groups: dict[int, list[Held]] = {}
    for group in grouped(held):
        groups.setdefault(group[0].entry.partition, group)
    return list(groups.values())
