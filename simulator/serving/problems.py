"""Answers that are refusals, and the troubles that strike a whole API."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.troubles import Trouble, Troubles

_PAGE = "<!doctype html><title>Sorry</title><h1>We are back soon</h1>"


class Problem(Exception):
    """An answer other than what was asked for."""

    def __init__(self, status: int, document: Any, **headers: str) -> None:
        super().__init__(status)
        self.status, self.document = status, document
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


async def show(request: Request, error: Exception) -> Response:
    """The answer that a Problem stands for."""
    assert isinstance(error, Problem)  # noqa: S101 - it is registered for nothing else
    return JSONResponse(error.document, error.status, headers=error.headers)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Raises Problem."""
    try:
        found = await request.json()
    except ValueError:
        raise Problem(400, {"message": "The body is not JSON"}) from None
    if not isinstance(found, dict):
        raise Problem(400, {"message": "The body is no object"})
    return found


class Troubled:
    """One marketplace's API behind whatever is wrong with it."""

    def __init__(self, platform: str, troubles: Troubles, app: ASGIApp) -> None:
        self._platform, self._troubles, self._app = platform, troubles, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or what the trouble makes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = self._troubles.strike(self._platform, "down", "html", "limited")
        if found is not None:
            await self._refusal(found)(scope, receive, send)
            return
        slow = self._troubles.strike(self._platform, "slow")
        if slow is None:
            await self._app(scope, receive, send)
            return
        # The answer is what was true when it was asked; only then it is kept back.
        pieces: list[Message] = []

        async def keep(piece: Message) -> None:
            pieces.append(piece)

        await self._app(scope, receive, keep)
        await asyncio.sleep(slow.seconds)
        for piece in pieces:
            await send(piece)

    def _refusal(self, trouble: Trouble) -> Response:
        if trouble.kind == "html":
            return HTMLResponse(_PAGE)
        if trouble.kind == "down":
            return HTMLResponse(_PAGE, 503)
        wait = max(1, round(trouble.seconds))
        if self._platform == "rebilly":
            until = str(int(time.time()) + wait)
            return JSONResponse(
                {"title": "Too many requests", "status": 429},
                429,
                headers={"X-RateLimit-Retry-After": until},
            )
        headers = {"Retry-After": str(wait)}
        if self._platform == "xandr":
            error = {"response": {"error_id": "LIMIT", "error": "Too many requests"}}
            return JSONResponse(error, 503, headers={**headers, "x-ratelimit-code": "read"})
        headers |= {"x-ratelimit-limit": "3600", "x-ratelimit-remaining": "0"}
        return JSONResponse({"message": "Too many requests"}, 429, headers=headers)
