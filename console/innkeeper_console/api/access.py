"""The one door of the console's API: a valid token, before anything else is looked at.

Plain ASGI middleware, so that nothing is buffered. Knows no resource but the ones left open. No
cookie is read or set: what a browser sends along by itself opens nothing, whatever page made it.
"""

from __future__ import annotations

import hmac
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.config import Config
from innkeeper_console.api.answers import problem
from innkeeper_receiver.callers import caller_of, is_within, networks

_OPERATOR, _READER = "innkeeper.operator", "innkeeper.reader"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ONLY_READERS = "secrets answer to INNKEEPER_SECRETS_TOKEN only"
_SECRETS = re.compile(r"/(?:app|integration)_instances(?:/[^/]+){3}/secrets")


class Access:
    """Lets through who bears one of the tokens; `/health` is open to all, secrets to their own."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        """`config`: its tokens, and who may read the metrics without one."""
        self._app = app
        self._tokens = [token.encode() for token in config.api_tokens]
        self._secrets_token = config.secrets_token.encode() if config.secrets_token else None
        self._metrics = networks(config.metrics.allow)
        self._trusted = networks(config.receiver.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 or 403."""
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        path = request.scope["path"]
        if _CONTROL.search(path):
            return problem(404)  # no resource is named so; to some patterns a last newline is none
        stated = _bearer(request)
        # Every token is compared, each in constant time.
        equal = [hmac.compare_digest(stated, token) for token in self._tokens]
        is_operator = any(equal)
        own = self._secrets_token
        is_reader = own is not None and hmac.compare_digest(stated, own)
        request.scope.update({_OPERATOR: is_operator, _READER: is_reader})
        if path == "/health":
            return None
        if path == "/metrics" and is_within(caller_of(request, self._trusted), self._metrics):
            return None
        if own is not None and _SECRETS.fullmatch(path):
            if is_reader:
                return None
            if is_operator:
                return problem(403, ONLY_READERS)
        elif is_operator:
            return None
        return problem(401, headers={"www-authenticate": "Bearer"})


def of_operator(request: Request) -> bool:
    """Whether a request that was let through bears an operators' token."""
    return bool(request.scope[_OPERATOR])


def reads_secrets(request: Request) -> bool:
    """Whether a request that was let through bears the secrets token."""
    return bool(request.scope[_READER])


def _bearer(request: Request) -> bytes:
    scheme, _, stated = request.headers.get("authorization", "").partition(" ")
    return stated.strip().encode() if scheme.lower() == "bearer" else b""
