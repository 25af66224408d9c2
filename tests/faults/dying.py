"""A receiver that kills itself: `python dying.py POINT COUNT receiver …`, at the COUNTth delivery.

POINT: before the body is read, once it is verified, once it is stored, or once it is answered. What
is patched is patched here: the product knows nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from innkeeper_console.cli import main
from innkeeper_receiver.appending import Appender
from innkeeper_receiver.hook import Hook

_SENT_SECONDS = 0.02
Die = Callable[[], None]


def die_at(point: str, count: int) -> None:
    """Have this process killed at the `count`th delivery that comes to this point."""
    left = count

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    POINTS[point](die)


def unread(die: Die) -> None:
    """Nobody has looked at the body yet."""
    _wrap(Hook, "__call__", die, before=True)


def verified(die: Die) -> None:
    """It is to be stored."""
    _wrap(Appender, "append", die, before=True)


def stored(die: Die) -> None:
    """It is stored, and nobody was told so."""
    _wrap(Appender, "append", die, before=False)


def answered(die: Die) -> None:
    """The sender has its answer."""
    answer = Response.__call__

    async def dying(self: Any, *arguments: Any) -> None:
        await answer(self, *arguments)
        if self.status_code == 202:
            # What was written leaves with the loop's next turn.
            asyncio.get_running_loop().call_later(_SENT_SECONDS, die)

    _plant(Response, "__call__", dying)


POINTS: dict[str, Callable[[Die], None]] = {
    one.__name__: one for one in (unread, verified, stored, answered)
}


def _wrap(owner: type, name: str, die: Die, *, before: bool) -> None:
    """Have `die` called before, or after, a method that is a coroutine."""
    whole = getattr(owner, name)

    async def dying(self: Any, *arguments: Any) -> Any:
        if before:
            die()
        ended = await whole(self, *arguments)
        if not before:
            die()
        return ended

    _plant(owner, name, dying)


def _plant(owner: type, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    del sys.argv[1:3]
    main()
