"""A line to the store on which something is wrong: slow, or cut before the reply comes through."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote

_READ_BYTES = 1 << 16


class Proxy:
    """Passes on what goes to a server's socket and what comes back, while its block runs.

    `delay_seconds`: how long each reply is held back. `cut`: the server does what it was asked, and
    the line is cut instead of its reply.
    """

    def __init__(self, folder: Path, server_url: str) -> None:
        self.delay_seconds = 0.0
        self.cut = False
        self.cuts = 0
        self._path = folder / "proxy"
        self._server = unquote(server_url.removeprefix("unix://"))
        self.url = "unix://" + quote(str(self._path))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Proxy:
        self._thread.start()
        listening = asyncio.start_unix_server(self._serve, self._path)
        self._listening = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            async with self._line(writer) as (replies, asking):
                passing = [
                    asyncio.create_task(self._ask(reader, asking)),
                    asyncio.create_task(self._reply(replies, writer)),
                ]
                try:
                    await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in passing:
                        task.cancel()
                    await asyncio.gather(*passing, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _line(
        self, writer: asyncio.StreamWriter
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A line to the server; both ends are hung up at its end."""
        try:
            replies, asking = await asyncio.open_unix_connection(self._server)
            try:
                yield replies, asking
            finally:
                asking.close()
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, asking: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            asking.write(data)
            await asking.drain()

    async def _reply(self, replies: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await replies.read(_READ_BYTES):
            if self.cut:
                self.cuts += 1
                return
            await asyncio.sleep(self.delay_seconds)
            writer.write(data)
            await writer.drain()
