"""The receiver's ASGI app: its routes, and the tasks that run beside the requests."""

from __future__ import annotations

import asyncio
import hmac
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.bells import Bell, BellName
from innkeeper.config import Config
from innkeeper.config.key_file import open_ring
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.logs import get_logger
from innkeeper.operations.accepted import Notes
from innkeeper.operations.desk import queue_url, store_url
from innkeeper.operations.pass_times import with_passes
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.discovery import fetch_keys
from innkeeper.store.connection import AsyncStore, Store
from innkeeper_receiver import answers
from innkeeper_receiver.appending import Appender
from innkeeper_receiver.callers import caller_of, is_within, networks
from innkeeper_receiver.discovery import DiscoveredKeys
from innkeeper_receiver.door import Door
from innkeeper_receiver.figures import Figures
from innkeeper_receiver.hook import Hook
from innkeeper_receiver.refusals import Refusals
from innkeeper_receiver.ringing import Ringer
from innkeeper_receiver.signing_keys import SigningKeys
from innkeeper_receiver.spooling import Spooling
from innkeeper_receiver.watching import StoreWatch

_QUEUE_TIMEOUT_SECONDS = 1.0
_END_SECONDS = 1.0
_ALWAYS_ALLOWED = ("127.0.0.0/8", "::1/128")
log = get_logger()


class Receiver:
    """One receiver: what a process holds, and the app that serves it."""

    def __init__(self, config: Config) -> None:
        """Put the parts together; nothing is connected before the app starts."""
        ring = open_ring(config)
        self._config = config
        self._store = AsyncStore(store_url(config))
        self._queue = Store(queue_url(config), timeout_seconds=_QUEUE_TIMEOUT_SECONDS)
        self._outgoing = Outgoing(config.outgoing.allow_hosts)
        self._ringer = Ringer(Bell(BellName.APPLY, self._queue))
        self._figures = Figures()
        self._failed: str | None = None
        self.door = Door(
            self._figures,
            headers_within=config.receiver.headers_within,
            most_connections=config.receiver.max_connections,
        )
        self._notes = Notes(config.data)
        self._spooling = self._make_spooling() if config.receiver.spool else None
        self._appender = Appender(
            self._store,
            ring,
            self._notes,
            self._spooling,
            usable=self._usable,
            on_stored=self._ringer.ask,
        )
        self._keys = SigningKeys(self._store, DiscoveredKeys(self._fetch))
        self._refusals = Refusals(self._store, ring, max_age_seconds=config.retention.rejected)
        passing = [InstanceKey.pseudo(a.platform, a.name) for a in with_passes(config.apps)]
        self.watch = StoreWatch(self._store, config, self._keys.forget, passing)
        hook = Hook(
            config,
            ring,
            self._appender,
            self._keys,
            self._refusals,
            self._figures,
            lambda: self.watch.adopting,
        )
        self.app = self._make_app(hook)

    def _make_app(self, hook: Hook) -> Starlette:
        app = Starlette(
            routes=[
                Route("/hooks/{platform}/{name}", hook.__call__, methods=["POST"]),
                Route("/hooks/{platform}", hook.__call__, methods=["POST"]),
                Route("/health/live", self._live),
                Route("/health/ready", self._ready),
                Route("/metrics", self._metrics),
            ],
            exception_handlers={
                HTTPException: answers.on_http_exception,
                Exception: answers.on_http_exception,
            },
            lifespan=self._lifespan,
        )
        # A slash too many is another path, and no sender follows a redirect.
        app.router.redirect_slashes = False
        return app

    def _make_spooling(self) -> Spooling:
        return Spooling(
            self._config.data,
            most_bytes=self._config.receiver.spool_bytes,
            store=self._store,
            usable=self._usable,
            on_stored=self._ringer.ask,
        )

    def _usable(self) -> bool:
        return self.watch.usable

    def _fetch(self, issuer: str, algorithm: str | None, audience: str | None) -> Any:
        return fetch_keys(self._outgoing, issuer, algorithm=algorithm, audience=audience)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._ringer.start()
        await self.watch.first_look()
        running = [self._appender.run(), self._refusals.run(), self.watch.run()]
        if self._spooling is not None:
            self._spooling.open()
            running.append(self._spooling.run())
        tasks = [asyncio.create_task(one) for one in running]
        for task in tasks:
            task.add_done_callback(self._on_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            # Whoever does not end at once is ended with the process.
            await asyncio.wait(tasks, timeout=_END_SECONDS)
            if self._spooling is not None:
                await self._spooling.close()
            self._notes.close()
            await asyncio.to_thread(self._ringer.stop)
            await self._store.close()
            self._queue.close()
            self._outgoing.close()

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        """Without one of its tasks a receiver would leave its senders waiting for ever."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._failed = f"{type(error).__name__}: {error}"
        log.error("receiver.failed", error=self._failed)
        os.kill(os.getpid(), signal.SIGTERM)

    @property
    def ended_by(self) -> str | None:
        """Why it has ended by itself; None where it has not."""
        return self.watch.refused or self._failed

    async def _live(self, _: Request) -> Response:
        return _json(200, {"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        spooling = self._spooling
        durable = self.watch.usable or (spooling is not None and spooling.takes)
        ready = self.watch.checked and durable
        body: dict[str, Any] = {"status": "ok" if ready else "not ready", "store": self.watch.state}
        if spooling is not None:
            body["spool"] = spooling.state
        return _json(200 if ready else 503, body)

    async def _metrics(self, request: Request) -> Response:
        config = self._config
        caller = caller_of(request, networks(config.receiver.trusted_proxies))
        allowed = is_within(caller, networks(_ALWAYS_ALLOWED + config.metrics.allow))
        stated = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        tokens = [hmac.compare_digest(stated, token.encode()) for token in config.api_tokens]
        if not allowed and not any(tokens):
            return answers.problem(401, headers={"www-authenticate": "Bearer"})
        self._figures.store_ready.set(self.watch.usable)
        if self._spooling is not None:
            most = config.receiver.spool_bytes
            self._figures.show_spool(self._spooling.state, most_bytes=most)
        return Response(self._figures.text(), media_type="text/plain; version=0.0.4")


def _json(status: int, document: dict[str, Any]) -> Response:
    body = msgspec.json.encode(document)
    return Response(body, status_code=status, media_type="application/json")
