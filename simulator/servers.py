"""Serves a run's sites inside a block, on sockets of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from simulator.certificate import Certificate
from simulator.run import Run
from simulator.serving.app import api_site, issuers_site


class _Server(uvicorn.Server):
    """Two of them live in one process: signals are its owner's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@contextlib.asynccontextmanager
async def serving(run: Run, certificate: Certificate | None) -> AsyncIterator[None]:
    """The sites answer inside the block. Raises OSError where a port is taken."""
    settings = run.settings
    config = uvicorn.Config(api_site(run), log_level="warning", timeout_graceful_shutdown=1)
    servers = [(_Server(config), _listen(settings.host, settings.port))]
    if certificate is not None and settings.tls_port is not None:
        config = uvicorn.Config(
            issuers_site(run),
            log_level="warning",
            timeout_graceful_shutdown=1,
            ssl_certfile=str(certificate.chain),
            ssl_keyfile=str(certificate.key),
        )
        servers.append((_Server(config), _listen(settings.host, settings.tls_port)))
    tasks = [asyncio.create_task(server.serve([listens])) for server, listens in servers]
    try:
        # The sockets listen already: nobody is turned away while the servers come up.
        yield
    finally:
        await run.close()
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), backlog=512)
