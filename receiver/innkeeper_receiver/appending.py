"""Group commit: requests that wait at the same moment share one round trip and one fsync.

No timer: what comes while a flush is under way makes up the next one. What the store cannot take
goes into the spool, and so does all that comes while the spool holds anything.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from innkeeper.operations.accepted import Note, Notes
from innkeeper.secrets import KeyRing
from innkeeper.spool import SpoolUnavailable
from innkeeper.store.connection import AsyncStore
from innkeeper.store.entry import NewEntry
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.log import (
    Appended,
    Prepared,
    append_command,
    entries_of,
    grouped,
    prepare,
    read_appended,
)
from innkeeper_receiver.spooling import LOOK_SECONDS, Spooling

STORE_SECONDS = 1.5
"""How long the store may take over a flush."""
_MAX_FLUSH_DELIVERIES = 1024


class _Waiting(NamedTuple):
    entry: Prepared
    done: asyncio.Future[Appended]


class Appender:
    """Appends entries for the requests of one event loop."""

    def __init__(
        self,
        store: AsyncStore,
        ring: KeyRing,
        notes: Notes,
        spooling: Spooling | None,
        *,
        usable: Callable[[], bool],
        on_stored: Callable[[], None],
    ) -> None:
        """`usable`: whether the store may be tried. `on_stored`: called after each flush to it."""
        self._store = store
        self._ring = ring
        self._notes = notes
        self._spooling = spooling
        self._usable = usable
        self._on_stored = on_stored
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._away_until = 0.0

    async def append(self, entry: NewEntry) -> Appended:
        """Make an entry durable, once; returns when it is on disk, in the log or the spool.

        Raises StoreUnavailable (it may or may not be stored), StoreError.
        """
        done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(prepare(entry, self._ring), done))
        self._arrived.set()
        return await done

    async def run(self) -> None:
        """Flush for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                count = min(len(self._waiting), _MAX_FLUSH_DELIVERIES)
                await self._flush([self._waiting.popleft() for _ in range(count)])

    async def _flush(self, waiting: Sequence[_Waiting]) -> None:
        # A client that left cancels its own future only: what it sent is stored all the same.
        if self._spooling is not None and self._spooling.in_use():
            await self._spool(waiting, StoreUnavailable("the spool is in use"))
            return
        if time.monotonic() < self._away_until or not self._usable():
            await self._spool(waiting, StoreUnavailable("the store is away"))
            return
        groups = grouped(waiting)
        try:
            answers = await self._attempt(groups)
        except (StoreUnavailable, StoreError) as error:
            await self._spool(waiting, error)
            return
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, StoreError):
                await self._one_by_one(group, answer)
            else:
                self._tell(group, read_appended(entries_of(group), answer))
        self._on_stored()

    async def _attempt(self, groups: Sequence[Sequence[_Waiting]]) -> list[Any]:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                commands = [append_command(entries_of(group)) for group in groups]
                return await self._store.attempt(commands)
        except TimeoutError:
            error = StoreUnavailable("no answer in time")
        except StoreUnavailable as gone:
            error = gone
        # Until the next look nobody waits for a time-out again.
        self._away_until = time.monotonic() + LOOK_SECONDS
        raise error

    async def _one_by_one(self, group: Sequence[_Waiting], error: StoreError) -> None:
        """A script that failed half-way kept what it had written: under its own id each entry is
        found again, or stored now."""
        if len(group) == 1:
            await self._spool(group, error)
            return
        refused: list[_Waiting] = []
        for at, one in enumerate(group):
            try:
                if time.monotonic() < self._away_until:
                    raise StoreUnavailable("the store is away")
                (answer,) = await self._attempt([[one]])
            except (StoreUnavailable, StoreError) as gone:
                # They shall not wait for a time-out each.
                await self._spool([*refused, *group[at:]], gone)
                return
            if isinstance(answer, StoreError):
                refused.append(one)
            else:
                self._tell([one], read_appended([one.entry], answer))
        if refused:
            await self._spool(refused, error)

    async def _spool(self, waiting: Sequence[_Waiting], why: StoreUnavailable | StoreError) -> None:
        """Put all into the spool; where there is none that takes them, fail for the reason why."""
        try:
            if self._spooling is None:
                raise SpoolUnavailable("there is no spool")
            results = await self._spooling.put(entries_of(waiting))
        except SpoolUnavailable as error:
            _fail(waiting, StoreUnavailable(f"{why}; {error}"))
            return
        self._tell(waiting, results)

    def _tell(self, group: Sequence[_Waiting], results: Sequence[Appended]) -> None:
        now = time.time()
        self._notes.write(
            Note(delivery=result.delivery, instance=one.entry.instance, at=now)
            for one, result in zip(group, results, strict=True)
            if not result.duplicate
        )
        for one, result in zip(group, results, strict=True):
            if not one.done.done():
                one.done.set_result(result)


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for one in group:
        if not one.done.done():
            one.done.set_exception(error)
