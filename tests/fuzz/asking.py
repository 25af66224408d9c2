"""Asks an ASGI app in its own loop, with whatever path, query, headers and pieces of a body."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from starlette.testclient import TestClient

CALLER = ("127.0.0.1", 50_000)


class Answer(NamedTuple):
    """A whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_problem(self) -> bool:
        """Whether it is an error as RFC 9457 has it, of its own status."""
        return (
            self.headers.get("content-type") == "application/problem+json"
            and json.loads(self.body)["status"] == self.status
        )


def ask(
    client: TestClient,
    method: str,
    path: str,
    *,
    query: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    pieces: Sequence[bytes] = (b"",),
) -> Answer:
    """One request; raises what the app raises."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode("utf-8", "replace"),
        "root_path": "", "query_string": query, "client": CALLER, "server": ("inn", 80),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip
    assert client.portal is not None
    answer: Answer = client.portal.call(_ask, client.app, scope, list(pieces))
    return answer


async def _ask(app: Any, scope: dict[str, Any], pieces: list[bytes]) -> Answer:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    begun, *parts = sent
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in begun["headers"]}
    return Answer(begun["status"], headers, b"".join(part.get("body", b"") for part in parts))
