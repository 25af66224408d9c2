"""Keeps refused deliveries, off the hot path: a bounded queue and one task that writes it down."""

from __future__ import annotations

import asyncio
from collections import deque

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.logs import get_logger
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import AsyncStore
from innkeeper.store.rejected import Refusal, keep_command

_MAX_WAITING_BYTES = 8 << 20
_LEAST_BYTES = 4 << 10
"""A refusal counts for no less than its objects take."""
_BATCH = 20
_PAUSE_SECONDS = 0.05
log = get_logger()


class Refusals:
    """What a flood brings over the bound is counted, not kept."""

    def __init__(self, store: AsyncStore, ring: KeyRing, *, max_age_seconds: float) -> None:
        """Write to `store`, encrypted with `ring`; `max_age_seconds`: how long they are kept."""
        self._store = store
        self._ring = ring
        self._max_age_seconds = max_age_seconds
        self._waiting: deque[tuple[InstanceKey, Refusal]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self.dropped = 0

    def keep(self, app: InstanceKey, refusal: Refusal) -> None:
        """Queue a refusal to be kept."""
        size = _size(refusal)
        if self._bytes + size > _MAX_WAITING_BYTES:
            self.dropped += 1
            return
        self._bytes += size
        self._waiting.append((app, refusal))
        self._arrived.set()

    async def run(self) -> None:
        """Write for ever, at most some hundreds a second."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                count = min(_BATCH, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(count)]
                self._bytes -= sum(_size(refusal) for _, refusal in batch)
                await self._write(batch)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _write(self, batch: list[tuple[InstanceKey, Refusal]]) -> None:
        age = self._max_age_seconds
        try:
            commands = [keep_command(a, r, self._ring, max_age_seconds=age) for a, r in batch]
            answers = await self._store.attempt(commands)
        except Exception as error:  # whatever strangers have sent, the next is kept
            answers = [error] * len(batch)
        lost = [answer for answer in answers if isinstance(answer, Exception)]
        if lost:
            self.dropped += len(lost)
            log.warning("refusal.lost", count=len(lost), error=str(lost[0]))


def _size(refusal: Refusal) -> int:
    came = refusal.captured
    heads = sum(len(name) + len(value) for name, value in came.headers)
    return _LEAST_BYTES + len(came.body) + len(came.query) + heads
