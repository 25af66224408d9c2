"""Watches the store: whether it can be used and trusted, whether it is there, whether it is the
same, and which apps still take in customers who were there before us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence

from innkeeper.config import Config
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.logs import get_logger
from innkeeper.operations import epochs
from innkeeper.operations.desk import store_url
from innkeeper.store import schema, trust
from innkeeper.store.connection import AsyncStore, Store
from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable
from innkeeper.store.passes import read_states, state_commands

_LOOK_SECONDS = 1.0
_FIRST_LOOK_SECONDS = 2.0
_TIMEOUT_SECONDS = 1.5
log = get_logger()


class StoreWatch:
    """How the store is. `state`: for people, in a word, or the reason why it is not used.

    `checked`: it has been looked at once; `usable`: it answers and is trusted; `refused`: why the
    process ends. `adopting`: the apps (their pseudo-instances) whose first full pass has not ended.
    """

    def __init__(
        self,
        store: AsyncStore,
        config: Config,
        on_other_store: Callable[[], None],
        with_passes: Sequence[InstanceKey] = (),
    ) -> None:
        """`on_other_store` is called when the store turns out to be another than before.

        `with_passes`: the apps whose marketplace's list is gone through.
        """
        self._store = store
        self._config = config
        self._on_other_store = on_other_store
        self._with_passes = with_passes
        self._epoch: str | None = None
        self._inspections = trust.Inspections()
        self.checked = False
        self.usable = False
        self.state = "not checked yet"
        self.refused: str | None = None
        self.adopting: frozenset[InstanceKey] = frozenset()

    async def first_look(self) -> None:
        """Look once before anything is served; a store that is away or slow is left to `run`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._look(), _FIRST_LOOK_SECONDS)

    async def run(self) -> None:
        """Look every second, for ever; ends the process if the store must not be used."""
        while self.refused is None:
            await self._look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            reason = await self._see()
        except (StoreUnavailable, StoreError) as error:
            self._inspections.interrupted()
            if self._turn(usable=False, state=f"unavailable: {error}"):
                log.warning("store.state", state=self.state)
        except StoreRefused as error:
            self.refused = str(error)
            self._turn(usable=False, state=f"refused: {error}")
            log.error("store.state", state=self.state)
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.checked = True
            if reason is None and self._turn(usable=True, state="ok"):
                log.info("store.state", state="ok")
            elif reason is not None and self._turn(usable=False, state=reason):
                log.error("store.untrusted", reason=reason)

    def _turn(self, *, usable: bool, state: str) -> bool:
        """Be in that state; whether it is another one than before."""
        changed = state != self.state
        self.usable, self.state = usable, state
        return changed

    async def _see(self) -> str | None:
        """Why the store is not to be used, or None."""
        seen = schema.read_sighting(await self._store.attempt(schema.SIGHTING_COMMANDS))
        if self._inspections.is_due(seen.run):
            if reason := await asyncio.to_thread(self._inspect):
                return reason
            self._inspections.passed(seen.run)
        await self._see_epoch(seen.epoch)
        await self._see_passes()
        return None

    def _inspect(self) -> str | None:
        with contextlib.closing(self._connect()) as store:
            findings = trust.inspect(store, self._config.store.durability)
        if not self.checked and (reason := trust.refusal_to_start(findings)):
            raise StoreRefused(reason)
        return trust.refusal(findings)

    async def _see_epoch(self, epoch: str | None) -> None:
        if epoch is None or self._epoch is None:
            epoch = await asyncio.to_thread(self._prepare)
        if epoch != self._epoch:
            if await asyncio.to_thread(epochs.notice, self._config.data, self._epoch, epoch):
                self._on_other_store()
            self._epoch = epoch

    async def _see_passes(self) -> None:
        if not self._with_passes:
            return
        answers = await self._store.attempt(state_commands(self._with_passes))
        for error in answers:
            if isinstance(error, StoreError):
                raise error
        apps = zip(self._with_passes, read_states(answers), strict=True)
        self.adopting = frozenset(app for app, state in apps if not state.adopted)

    def _prepare(self) -> str:
        with contextlib.closing(self._connect()) as store:
            return schema.prepare(store)

    def _connect(self) -> Store:
        return Store(store_url(self._config), timeout_seconds=_TIMEOUT_SECONDS)
