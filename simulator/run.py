"""One run: the world, its hooks, the sender, and what is wrong with whom; nothing global.

Made by `__main__` and by tests; the servers and the control read and drive it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Collection, Coroutine
from datetime import datetime
from typing import Any

from simulator.sending.hooks import Hooks
from simulator.sending.sender import Sender
from simulator.settings import Settings
from simulator.troubles import Troubles
from simulator.world.messages import Action, Message
from simulator.world.tokens import Tokens
from simulator.world.world import PLATFORMS, World


class Run:
    """Lives on one event loop."""

    def __init__(self, settings: Settings, start: datetime) -> None:
        # Apart from the world's chance, so that rates change no action.
        rng = random.Random(f"{settings.seed}:sending")  # noqa: S311
        self.settings = settings
        self.world = World(settings, start)
        self.tokens = Tokens(time.time)
        self.troubles = Troubles()
        self.hooks = Hooks(self.world, self.tokens, rng)
        self.sender = Sender(self.hooks, settings.rates, settings.pace, rng)
        self._tasks: set[asyncio.Task[object]] = set()

    async def act(self, count: int, platforms: Collection[str] = PLATFORMS) -> list[Action]:
        """That many actions by chance, told as they happen."""
        done = []
        for _ in range(count):
            action = self.world.act(platforms)
            done.append(action)
            await self.tell(action.messages)
            # Where nothing is sent, nothing waits: the servers have to get their turn.
            await asyncio.sleep(0)
        return done

    async def perform(self, app: str, account: str, name: str) -> Action:
        """One named action, told at once. Raises as `World.perform`."""
        action = self.world.perform(app, account, name)
        await self.tell(action.messages)
        return action

    async def tell(self, messages: Collection[Message]) -> None:
        """Send what the world says."""
        await self.sender.submit(self.hooks.follow(tuple(messages)))

    def tell_soon(self, *messages: Message) -> None:
        """Send without letting the caller of an API wait for it."""
        self.start(self.sender.submit(self.hooks.follow(messages)))

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something in the background; `settle` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await self.sender.settle()

    async def close(self) -> None:
        """Stop at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sender.close()
