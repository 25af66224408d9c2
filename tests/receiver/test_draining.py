"""Draining the spool takes its time; what is told of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from innkeeper.secrets import KeyRing
from innkeeper.spool import Spool
from innkeeper.store.connection import AsyncStore
from innkeeper.store.log import prepare
from innkeeper_receiver.spooling import Spooling
from tests.conftest import KEY
from tests.store.making import new_entry
from tests.store.servers import server


def test_the_state_is_as_of_the_last_second_while_it_drains(tmp_path: Path):
    """However long that takes."""
    ring, seen, enough = KeyRing([KEY]), list[int](), asyncio.Event()
    with contextlib.closing(Spool(tmp_path, most_bytes=1 << 30)) as spool:
        spool.put([prepare(new_entry(str(n)), ring) for n in range(1600)], now=time.time())

    def on_stored() -> None:
        time.sleep(0.6)
        seen.append(spooling.state.deliveries)
        if len(seen) == 4:
            enough.set()

    async def drain() -> None:
        spooling.open()
        running = asyncio.create_task(spooling.run())
        await asyncio.wait_for(enough.wait(), 20)
        running.cancel()
        await asyncio.wait([running], timeout=5)
        await spooling.close()
        await store.close()

    with server() as own:
        store = AsyncStore(own.url)
        spooling = Spooling(
            tmp_path, most_bytes=1 << 30, store=store, usable=lambda: True, on_stored=on_stored
        )
        asyncio.run(drain())
    assert seen[0] == 1600
    assert 0 < seen[-1] < 1600
