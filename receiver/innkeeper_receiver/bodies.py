"""Reads a request's body within bounds of size and time, before anything else is done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request


class TooLarge(Exception):
    """More bytes than allowed are announced, or have come."""


async def read_body(
    request: Request, *, most_bytes: int, within_seconds: float, take: Callable[[int], None]
) -> bytes:
    """The whole body. Raises TooLarge, TimeoutError, ClientDisconnect, and whatever `take` raises.

    `take` is called with the size of each piece, before it is kept.
    What is too large is not read to its end: whoever sends it may never come to one.
    """
    announced = request.headers.get("content-length", "")
    # A float, for no number of digits is too many for one.
    if announced.isdecimal() and float(announced) > most_bytes:
        raise TooLarge
    task = asyncio.current_task()
    late = False

    def end() -> None:
        nonlocal late
        late = True
        if task is not None:
            task.cancel()

    # As asyncio.timeout does it, at a fifth of the cost: nearly every body is there at once.
    timer = asyncio.get_running_loop().call_later(within_seconds, end)
    try:
        return await _collect(request, most_bytes, take)
    except asyncio.CancelledError:
        if late and task is not None and not task.uncancel():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


async def _collect(request: Request, most_bytes: int, take: Callable[[int], None]) -> bytes:
    pieces: list[bytes] = []
    left = most_bytes
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        left -= len(piece)
        if left < 0:
            raise TooLarge
        take(len(piece))
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
