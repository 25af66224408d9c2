"""Services with a flaw planted in them: `python flawed.py FLAW receiver|worker …`.

What a naive receiver or worker does. The judge has to find each; nothing else may run these.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from innkeeper.lifecycle import facts
from innkeeper.lifecycle.order import Order
from innkeeper.store.log import Appended
from innkeeper.store.outbox import Outbox
from innkeeper_console.cli import main
from innkeeper_receiver.appending import Appender
from innkeeper_workers import calling, perform

_LATE_SECONDS = 0.3
_DIES = 0.2


def answers_first() -> None:
    """It acknowledges, and stores in a moment."""
    append = Appender.append
    pending = set()

    async def flawed(self: Any, entry: Any) -> Appended:
        async def later() -> None:
            await asyncio.sleep(_LATE_SECONDS)
            await append(self, entry)

        pending.add(asyncio.create_task(later()))
        return Appended(entry.delivery, False)

    _plant(Appender, append=flawed)


def knows_no_claims() -> None:
    """It takes every delivery for a new one."""
    append = Appender.append

    async def flawed(self: Any, entry: Any) -> Appended:
        return await append(self, replace(entry, claims=()))

    _plant(Appender, append=flawed)


def trusts_the_order() -> None:
    """What comes later counts as newer."""
    _plant(
        facts,
        compare=lambda stated, known: Order.NEWER if stated and known else Order.UNKNOWN,
        below=lambda stated, floor: False,
    )


def settles_first() -> None:
    """It notes work as done and then does it; at times it dies in between."""
    take, call = Outbox.take, calling.call

    def flawed(self: Any, *arguments: Any) -> Any:
        taken = take(self, *arguments)
        if taken is not None and taken.state.work.name == "note":
            self.done(taken)
        return taken

    def dying(*arguments: Any) -> None:
        if random.random() < _DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        call(*arguments)

    _plant(Outbox, take=flawed)
    _plant(perform, call=dying)


def makes_new_keys() -> None:
    """It runs work twice, each time under a key of its own."""
    call = calling.call

    def flawed(desk: Any, name: str, taken: Any, line: Any) -> None:
        call(desk, name, taken, line)
        work = replace(taken.state.work, id=f"{taken.state.work.id}-again")
        call(desk, name, taken._replace(state=replace(taken.state, work=work)), line)

    _plant(perform, call=flawed)


def _plant(owner: Any, **flawed: Callable[..., Any]) -> None:
    for name, function in flawed.items():
        setattr(owner, name, function)


FLAWS: dict[str, Callable[[], None]] = {
    flaw.__name__: flaw
    for flaw in (answers_first, knows_no_claims, trusts_the_order, settles_first, makes_new_keys)
}

if __name__ == "__main__":
    FLAWS[sys.argv[1]]()
    del sys.argv[1]
    main()
