"""How much a request may bring, and how long it may take: for whoever has a token, too.

A browser's own bounds are no help here: the API is spoken to by programs. `Bounds` is the second
door, behind `access`; bodies are read here and nowhere else.
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.operations.questions import BadQuestion
from innkeeper.platforms.jws import strict_json
from innkeeper_console.api.answers import desk_of, problem
from innkeeper_receiver.bodies import TooLarge, read_body

MAX_BODY_BYTES = 1 << 20
MAX_QUERY_BYTES = 16 << 10
"""Twice what a client may well send: a link to the next page repeats the question."""


class Bounds:
    """Refuses a question that is too long, before it is taken apart."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 414."""
        if scope["type"] == "http" and len(scope["query_string"]) > MAX_QUERY_BYTES:
            refusal = problem(414, f"the query is longer than {MAX_QUERY_BYTES} bytes")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises BadQuestion, HTTPException."""
    try:
        found = strict_json(await _body(request))
    except ValueError as error:
        raise BadQuestion(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadQuestion("the body is no JSON object")
    return found


async def _body(request: Request) -> bytes:
    seconds = desk_of(request).config.receiver.body_within
    try:
        return await read_body(
            request, most_bytes=MAX_BODY_BYTES, within_seconds=seconds, take=lambda _: None
        )
    except TooLarge:
        said = f"the body is larger than {MAX_BODY_BYTES} bytes"
        raise HTTPException(413, said, {"connection": "close"}) from None
    except TimeoutError:
        said = f"the body took longer than {seconds:g} s"
        raise HTTPException(408, said, {"connection": "close"}) from None
    except ClientDisconnect:
        raise BadQuestion("the body was not sent to its end") from None
