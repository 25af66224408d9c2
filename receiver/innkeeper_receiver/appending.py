"""Group commit: requests that wait at the same moment share one round trip and one fsync.

No timer: what comes while a flush is under way makes up the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from innkeeper.secrets import KeyRing
from innkeeper.store.connection import AsyncStore
from innkeeper.store.entry import NewEntry
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.log import (
    MAX_APPEND_BYTES,
    MAX_APPEND_DELIVERIES,
    Appended,
    Prepared,
    append_command,
    prepare,
    read_appended,
)

_MAX_FLUSH_DELIVERIES = 1024


class _Waiting(NamedTuple):
    entry: Prepared
    done: asyncio.Future[Appended]


class Appender:
    """Appends entries for the requests of one event loop."""

    def __init__(self, store: AsyncStore, ring: KeyRing, on_stored: Callable[[], None]) -> None:
        """`on_stored` is called after each flush that stored anything."""
        self._store = store
        self._ring = ring
        self._on_stored = on_stored
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()

    async def append(self, entry: NewEntry) -> Appended:
        """Store an entry, once; returns when it is on disk.

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
        groups = _grouped(waiting)
        try:
            commands = [append_command([one.entry for one in group]) for group in groups]
            answers = await self._store.attempt(commands)
        except (StoreUnavailable, StoreError) as error:
            _fail(waiting, error)
            return
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, StoreError):
                await self._one_by_one(group, answer)
            else:
                _tell(group, read_appended([one.entry for one in group], answer))
        self._on_stored()

    async def _one_by_one(self, group: Sequence[_Waiting], error: StoreError) -> None:
        """A script that failed half-way kept what it had written: under its own id each entry is
        found again, or stored now."""
        if len(group) == 1:
            _fail(group, error)
            return
        for at, one in enumerate(group):
            try:
                (answer,) = await self._store.attempt([append_command([one.entry])])
            except (StoreUnavailable, StoreError) as gone:
                _fail(group[at:], gone)  # they shall not wait for a time-out each
                return
            if isinstance(answer, StoreError):
                _fail([one], answer)
            else:
                _tell([one], read_appended([one.entry], answer))


def _grouped(waiting: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """By partition, no group over the bounds of one call."""
    groups: list[list[_Waiting]] = []
    open_groups: dict[int, tuple[list[_Waiting], int]] = {}
    for one in waiting:
        partition, size = one.entry.partition, one.entry.size
        group, held = open_groups.get(partition, ([], 0))
        if not group or len(group) == MAX_APPEND_DELIVERIES or held + size > MAX_APPEND_BYTES:
            group, held = [], 0
            groups.append(group)
        group.append(one)
        open_groups[partition] = (group, held + size)
    return groups


def _tell(group: Sequence[_Waiting], results: Sequence[Appended]) -> None:
    for one, result in zip(group, results, strict=True):
        if not one.done.done():
            one.done.set_result(result)


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for one in group:
        if not one.done.done():
            one.done.set_exception(error)
