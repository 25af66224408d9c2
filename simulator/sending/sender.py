"""Sends messages as the marketplaces do: in parallel, out of order, twice, late, again, or never.

Called with the world's messages in their order. Chance is seeded; with `concurrency = 1` and no
disorder the first attempts go out strictly one after the other.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Iterable

import httpx2

from simulator.sending.hooks import Hooks
from simulator.sending.records import Attempt, Record, Records
from simulator.sending.requests import Hook, Outgoing
from simulator.settings import Pace, Rates
from simulator.world.messages import Message


class Sender:
    """Lives on one event loop. `rates` may be replaced at any time."""

    def __init__(self, hooks: Hooks, rates: Rates, pace: Pace, rng: random.Random) -> None:
        self.rates, self.records = rates, Records()
        self._hooks, self._pace, self._rng = hooks, pace, rng
        self._held: list[tuple[int, Message]] = []  # how often overtaken, and what
        self._slots = asyncio.Semaphore(pace.concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = httpx2.AsyncClient(
            timeout=pace.answer_within, trust_env=False, follow_redirects=False
        )

    async def submit(self, messages: Iterable[Message]) -> None:
        """Take messages in the world's order; waits while too many are on their way."""
        for message in messages:
            self._held.append((0, message))
            while len(self._held) > self.rates.disorder:
                await self._launch(self._next())

    async def flush(self) -> None:
        """Let go what is held back for the sake of disorder."""
        while self._held:
            await self._launch(self._next())

    async def settle(self) -> None:
        """Wait until everything has ended: answered, given up or switched off."""
        await self.flush()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Stop at once, whatever is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def _next(self) -> Message:
        index = self._rng.randrange(len(self._held))
        # Bounded: who has been overtaken often enough is next.
        if self._held[0][0] >= self.rates.disorder:
            index = 0
        _, message = self._held.pop(index)
        overtaken = [(count + 1, other) for count, other in self._held[:index]]
        self._held[:index] = overtaken
        return message

    async def _launch(self, message: Message) -> None:
        wanting = self._hooks.wanting(message)
        if wanting and self._rng.random() < self.rates.elsewhere:
            wanting = self._hooks.elsewhere(message) or wanting
        for hook in wanting:
            record = self.records.open(message, hook.id, str(uuid.uuid4()))
            if not hook.is_on(message):
                record.outcome = "switched_off"
                continue
            if message.webhook is None and self._rng.random() < self.rates.dropped:
                record.outcome = "dropped"
                continue
            wait = 0.0
            if self._rng.random() < self.rates.delayed:
                wait = self._rng.random() * self.rates.delay_seconds
            again = self._rng.random() < self.rates.duplicated
            if not wait:
                await self._slots.acquire()
            task = asyncio.create_task(self._deliver(hook, record, wait, again=again))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, hook: Hook, record: Record, wait: float, *, again: bool) -> None:
        if wait:
            await asyncio.sleep(wait)
            await self._slots.acquire()
        await self._attempts(hook, record)
        if again and record.outcome == "answered":
            # Its acknowledgement was lost on the way: sent again under the same origin.
            twin = self.records.open(record.message, hook.id, record.origin, repeat=True)
            await self._slots.acquire()
            await self._attempts(hook, twin)

    async def _attempts(self, hook: Hook, record: Record) -> None:
        """The first attempt, for which a slot is held, and as many retries as it takes."""
        for number in range(hook.retries + 1):
            if number:
                intervals = self._pace.retry_intervals
                pause = intervals[min(number, len(intervals)) - 1] * self._pace.scale
                await asyncio.sleep(pause)
                await self._slots.acquire()
            try:
                if not hook.is_on(record.message):
                    record.outcome = "switched_off"
                    return
                await self._attempt(hook, record)
            finally:
                self._slots.release()
            if record.attempts[-1].error is None:
                record.outcome = "answered"
                return
        record.outcome = "given_up"

    async def _attempt(self, hook: Hook, record: Record) -> None:
        first = not record.attempts and not record.repeat
        delivery = record.origin if first else str(uuid.uuid4())
        request = hook.request(record.message, delivery, None if first else record.origin)
        started = time.time()
        status, error = await self._post(request)
        hook.note(error)
        record.attempts.append(Attempt(delivery=delivery, at=started, status=status, error=error))

    async def _post(self, request: Outgoing) -> tuple[int | None, str | None]:
        """The answer's status, and what is wrong with it; any 2xx in time is right."""
        try:
            async with asyncio.timeout(self._pace.answer_within):
                answer = await self._client.post(
                    request.url, headers=request.headers, content=request.content
                )
        except TimeoutError:
            return None, "no answer in time"
        except httpx2.HTTPError as error:
            return None, f"{type(error).__name__}: {error}"
        if 200 <= answer.status_code < 300:
            return answer.status_code, None
        return answer.status_code, f"{answer.status_code} {answer.reason_phrase}"
