"""The one door of the console's API: a valid token, before anything else is looked at.

Plain ASGI middleware, so that nothing is buffered. Knows no resource but the ones left open.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.config import Config
from innkeeper_console.api.answers import problem
from innkeeper_receiver.callers import caller_of, is_within, networks


class Access:
    """Lets through who bears one of the tokens; `/health` is open to all."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        """`config`: its tokens, and who may read the metrics without one."""
        self._app = app
        self._tokens = [token.encode() for token in config.api_tokens]
        self._metrics = networks(config.metrics.allow)
        self._trusted = networks(config.receiver.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] != "http" or self._may(Request(scope)):
            await self._app(scope, receive, send)
            return
        await problem(401, headers={"www-authenticate": "Bearer"})(scope, receive, send)

    def _may(self, request: Request) -> bool:
        path = request.scope["path"]
        if path == "/health":
            return True
        if path == "/metrics" and is_within(caller_of(request, self._trusted), self._metrics):
            return True
        scheme, _, stated = request.headers.get("authorization", "").partition(" ")
        # Every token is compared, each in constant time.
        equal = [hmac.compare_digest(stated.strip().encode(), token) for token in self._tokens]
        return scheme.lower() == "bearer" and any(equal)
