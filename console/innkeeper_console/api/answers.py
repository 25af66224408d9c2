"""Every answer of the console's API: documents, pages with their links, and errors (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from innkeeper.logs import get_logger
from innkeeper.operations.changing import OutcomeUnknown
from innkeeper.operations.desk import Desk
from innkeeper.operations.questions import BadQuestion
from innkeeper.operations.replay import CannotReplay
from innkeeper.platforms.api_errors import (
    ApiError,
    Invalid,
    Missing,
    RateLimited,
    Refused,
    Unsupported,
)
from innkeeper.secrets import Damaged, MissingKey
from innkeeper.store.errors import StoreError, StoreUnavailable

RETRY_AFTER_SECONDS = 5
log = get_logger()


def desk_of(request: Request) -> Desk:
    """The desk that the app was made over."""
    desk: Desk = request.app.state.desk
    return desk


def document(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document."""
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def page(request: Request, documents: list[Any], following: str | None) -> Response:
    """A page of a list, with a link to the next one: this question with another cursor."""
    headers = {}
    if following is not None:
        pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
        query = urlencode([*pairs, ("cursor", following)])
        headers["link"] = f'<{request.url.path}?{query}>; rel="next"'
    return document(documents, headers=headers)


def problem(
    status: int,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[str] = (),
) -> Response:
    """An error; `faults`: all that is wrong with what was sent."""
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if faults:
        body["faults"] = list(faults)
    if detail:
        body["detail"] = detail
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


def not_found(what: str) -> HTTPException:
    """There is no such thing."""
    return HTTPException(404, what)


def on_error(_: Request, error: Exception) -> Response:
    """Whatever an endpoint or the framework raises, as an answer."""
    match error:
        case HTTPException():
            detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
            return problem(error.status_code, detail, error.headers)
        case BadQuestion():
            return problem(400, str(error))
        case CannotReplay():
            return problem(422, str(error))
        case OutcomeUnknown():
            said = "whether the marketplace has made the change is unknown; it is being read back"
            return problem(502, f"{said}: {error}")
        case ApiError():
            return _marketplace(error)
        case StoreUnavailable() | StoreError():
            log.error("console.store", error=str(error))
            headers = {"retry-after": str(RETRY_AFTER_SECONDS)}
            return problem(503, "the store cannot be asked now", headers)
        case MissingKey() | Damaged():
            return problem(500, f"it cannot be decrypted: {error}")
    log.error("console.failed", error=f"{type(error).__name__}: {error}")
    return problem(500)


def _marketplace(error: ApiError) -> Response:
    """What a marketplace's API answered in place of what was asked for."""
    match error:
        case Invalid():
            return problem(422, error.message, faults=error.faults)
        case Unsupported():
            return problem(409, error.message)
        case Missing():
            return problem(404, error.message)
        case RateLimited():
            seconds = math.ceil(error.delay_seconds)
            return problem(503, error.message, {"retry-after": str(seconds)})
        case Refused():
            return problem(503, f"the marketplace refuses us: {error.message}")
    return problem(502, error.message)
