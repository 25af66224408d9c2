"""A load generator: keeps a number of connections busy, one request at a time on each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import uvloop


class Result(NamedTuple):
    """Answers by status, and how long it took."""

    statuses: dict[str, int]
    seconds: float
    p99_milliseconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], told: Counter[str], took: list[float]) -> None:
        self._requests, self._told, self._took = requests, told, took
        self._got = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head = self._got.find(b"\r\n\r\n")
        # Every answer has this one header in lower case; it may come in several pieces.
        length = self._got.find(b"content-length: ")
        if head < 0 or len(self._got) < head + 4 + int(self._got[length + 16 :].split(b"\r", 1)[0]):
            return
        self._took.append(time.perf_counter() - self._sent)
        self._told[self._got[9:12].decode()] += 1
        self._got = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


def request(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def send(port: int, requests: list[bytes], *, connections: int) -> Result:
    """Send every request; the figures."""

    async def run() -> Result:
        told: Counter[str] = Counter()
        took: list[float] = []
        rest = iter(requests)
        loop, started = asyncio.get_running_loop(), time.perf_counter()
        opened = [
            await loop.create_connection(lambda: _Connection(rest, told, took), "127.0.0.1", port)
            for _ in range(connections)
        ]
        await asyncio.gather(*(protocol.ended for _, protocol in opened))
        seconds = time.perf_counter() - started
        worst = sorted(took)[int(len(took) * 0.99)] * 1000
        return Result(dict(told), seconds, worst)

    return uvloop.run(run())
