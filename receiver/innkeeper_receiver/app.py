"""The receiver's ASGI app: its routes, and the tasks that run beside the requests."""

from __future__ import annotations

import asyncio
import hmac
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
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import queue_url, store_url
from innkeeper.operations.pass_times import with_passes
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.discovery import fetch_keys
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import AsyncStore, Store
from innkeeper_receiver import answers
from innkeeper_receiver.appending import Appender
from innkeeper_receiver.callers import caller_of, is_within, networks
from innkeeper_receiver.discovery import DiscoveredKeys
from innkeeper_receiver.figures import Figures
from innkeeper_receiver.hook import Hook
from innkeeper_receiver.refusals import Refusals
from innkeeper_receiver.ringing import Ringer
from innkeeper_receiver.signing_keys import SigningKeys
from innkeeper_receiver.watching import StoreWatch

_QUEUE_TIMEOUT_SECONDS = 1.0
_ALWAYS_ALLOWED = ("127.0.0.0/8", "::1/128")


class Receiver:
    """One receiver: what a process holds, and the app that serves it."""

    def __init__(self, config: Config) -> None:
        """Put the parts together; nothing is connected before the app starts."""
        ring = KeyRing(config.secret_keys)
        self._config = config
        self._store = AsyncStore(store_url(config))
        self._queue = Store(queue_url(config), timeout_seconds=_QUEUE_TIMEOUT_SECONDS)
        self._outgoing = Outgoing(config.outgoing.allow_hosts)
        self._ringer = Ringer(Bell(BellName.APPLY, self._queue))
        self._figures = Figures()
        self._appender = Appender(self._store, ring, self._ringer.ask)
        self._keys = SigningKeys(self._store, DiscoveredKeys(self._fetch))
        self._refusals = Refusals(self._store, ring)
        passing = [InstanceKey.pseudo(a.platform, a.name) for a in with_passes(config.apps)]
        self.watch = StoreWatch(self._store, store_url(config), self._keys.forget, passing)
        hook = Hook(
            config,
            ring,
            self._appender,
            self._keys,
            self._refusals,
            self._figures,
            lambda: self.watch.adopting,
        )
        self.app = Starlette(
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
        self.app.router.redirect_slashes = False

    def _fetch(self, issuer: str, algorithm: str | None, audience: str | None) -> Any:
        return fetch_keys(self._outgoing, issuer, algorithm=algorithm, audience=audience)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._ringer.start()
        running = (self._appender.run(), self._refusals.run(), self.watch.run())
        tasks = [asyncio.create_task(one) for one in running]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._ringer.stop)
            await self._store.close()
            self._queue.close()
            self._outgoing.close()

    async def _live(self, _: Request) -> Response:
        return _json(200, {"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        body = {"status": "ok" if self.watch.ready else "not ready", "store": self.watch.state}
        return _json(200 if self.watch.ready else 503, body)

    async def _metrics(self, request: Request) -> Response:
        config = self._config
        caller = caller_of(request, networks(config.receiver.trusted_proxies))
        allowed = is_within(caller, networks(_ALWAYS_ALLOWED + config.metrics.allow))
        stated = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        tokens = [hmac.compare_digest(stated, token.encode()) for token in config.api_tokens]
        if not allowed and not any(tokens):
            return answers.problem(401, headers={"www-authenticate": "Bearer"})
        self._figures.store_ready.set(self.watch.ready)
        return Response(self._figures.text(), media_type="text/plain; version=0.0.4")


def _json(status: int, document: dict[str, str]) -> Response:
    body = msgspec.json.encode(document)
    return Response(body, status_code=status, media_type="application/json")
