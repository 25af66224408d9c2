"""Reads a request's body within bounds of size and time, before anything else is done with it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request


class TooLarge(Exception):
    """More bytes than allowed are announced, or have come."""


async def read_body(request: Request, *, most_bytes: int, within_seconds: float) -> bytes:
    """The whole body. Raises TooLarge, TimeoutError, ClientDisconnect.

    What is too large is not read to its end: whoever sends it may never come to one.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise TooLarge
    body = bytearray()
    async with asyncio.timeout(within_seconds):
        async for piece in request.stream():
            body += piece
            if len(body) > most_bytes:
                raise TooLarge
    return bytes(body)
