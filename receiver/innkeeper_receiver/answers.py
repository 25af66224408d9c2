"""Every answer of the receiver: the one table of HTTP statuses."""

from __future__ import annotations

from functools import cache

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from innkeeper.lifecycle.events import DeliveryId

RETRY_AFTER_SECONDS = 5

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def accepted(delivery: DeliveryId) -> Response:
    """On disk."""
    return _told(202, delivery, "accepted")


def duplicate(first: DeliveryId) -> Response:
    """Seen before; `first` is the delivery that was stored."""
    return _told(200, first, "duplicate")


def refused(*, basic: bool) -> Response:
    """Not authentic, or its signer may not say this. Never says why."""
    headers = {"www-authenticate": 'Basic realm="innkeeper", charset="UTF-8"'} if basic else {}
    return problem(401, headers=headers)


def unavailable(detail: str) -> Response:
    """To be sent again."""
    return problem(503, detail, headers={"retry-after": str(RETRY_AFTER_SECONDS)})


def problem(
    status: int, detail: str | None = None, *, headers: dict[str, str] | None = None
) -> Response:
    """An error as RFC 9457 has it."""
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status}
    if detail:
        body["detail"] = detail
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


@cache
def on_the_wire(status: int) -> bytes:
    """An error as it goes over the wire, for what never becomes a request; its connection ends."""
    response = unavailable("overloaded") if status == 503 else problem(status)
    lines = [b"HTTP/1.1 %d %s" % (status, _TITLES[status].encode())]
    lines += [b"%s: %s" % header for header in response.raw_headers]
    return b"\r\n".join([*lines, b"connection: close", b"", bytes(response.body)])


async def on_http_exception(_: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such path, method or size."""
    if not isinstance(error, HTTPException):
        return problem(500)
    return problem(error.status_code, headers=dict(error.headers or {}))


def _told(status: int, delivery: DeliveryId, word: str) -> Response:
    body = msgspec.json.encode({"delivery": delivery, "status": word})
    return Response(body, status_code=status, media_type="application/json")
