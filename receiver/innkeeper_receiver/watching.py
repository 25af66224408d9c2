"""Watches the store: whether it can be used at all, whether it is there, whether it is the same,
and which apps still take in customers who were there before us.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.logs import get_logger
from innkeeper.store import schema
from innkeeper.store.connection import AsyncStore, Store
from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable
from innkeeper.store.keys import EPOCH
from innkeeper.store.passes import read_states, state_commands

_LOOK_SECONDS = 1.0
log = get_logger()


class StoreWatch:
    """`state` says in a word or two how the store is; `ready` whether it takes deliveries.

    `adopting`: the apps (their pseudo-instances) whose first full pass has not ended yet.
    """

    def __init__(
        self,
        store: AsyncStore,
        url: str,
        on_other_store: Callable[[], None],
        with_passes: Sequence[InstanceKey] = (),
    ) -> None:
        """`on_other_store` is called when the store turns out to be another than before.

        `with_passes`: the apps whose marketplace's list is gone through.
        """
        self._store = store
        self._with_passes = with_passes
        self.adopting: frozenset[InstanceKey] = frozenset()
        self._url = url
        self._on_other_store = on_other_store
        self._epoch: str | None = None
        self.ready = False
        self.state = "not checked yet"
        self.refused: str | None = None

    async def run(self) -> None:
        """Look every second, for ever; ends the process if the store must not be used."""
        while True:
            try:
                await self._look()
            except (StoreUnavailable, StoreError) as error:
                self._say(ready=False, state=f"unavailable: {error}")
            except StoreRefused as error:
                self.refused = str(error)
                self._say(ready=False, state=f"refused: {error}")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        found = await self._store.command("GET", EPOCH)
        epoch = found.decode() if found is not None else None
        if epoch is None or self._epoch is None:
            epoch = await asyncio.to_thread(self._prepare)
        if self._epoch is not None and epoch != self._epoch:
            log.error("store.epoch_changed", before=self._epoch, now=epoch)
            self._on_other_store()
        self._epoch = epoch
        await self._look_at_passes()
        self._say(ready=True, state="ok")

    async def _look_at_passes(self) -> None:
        if not self._with_passes:
            return
        answers = await self._store.attempt(state_commands(self._with_passes))
        for error in answers:
            if isinstance(error, StoreError):
                raise error
        apps = zip(self._with_passes, read_states(answers), strict=True)
        self.adopting = frozenset(app for app, state in apps if not state.adopted)

    def _prepare(self) -> str:
        store = Store(self._url, timeout_seconds=1.5)
        try:
            return schema.prepare(store)
        finally:
            store.close()

    def _say(self, *, ready: bool, state: str) -> None:
        if state != self.state:
            (log.info if ready else log.warning)("store.state", state=state)
        self.ready, self.state = ready, state
