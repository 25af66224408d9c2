"""HTTP, as anybody speaks it: one question and its answer; and a sender that keeps its line."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 20.0


class Answer(NamedTuple):
    """What came back. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON document."""
        return json.loads(self.body)

    @property
    def delivery(self) -> str:
        """The id that a receiver's answer names."""
        return str(self.document["delivery"])

    @property
    def next(self) -> str | None:
        """Where the `Link` header says that the next page is."""
        found = re.search(r'<([^>]*)>; rel="next"', self.headers.get("link", ""))
        return found[1] if found else None


def ask(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    within_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """Ask on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=within_seconds)
    with contextlib.closing(connection):
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return _exchange(connection, method, target, body, headers or {})


class Sender:
    """Posts one delivery after the other, each until it is taken, as a marketplace tries again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
        self._target = parts.path

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def send(self, body: bytes, within_seconds: float = 30.0) -> Answer:
        """Post until the answer is neither a broken line nor a 5xx; that answer."""
        give_up_at = time.monotonic() + within_seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = _exchange(self._connection, "POST", self._target, body, {})
                if answer.status < 500:
                    return answer
            self._connection.close()
            assert time.monotonic() < give_up_at, "nobody takes the delivery"
            time.sleep(0.1)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> Answer:
    stated = {"content-type": "application/json"} if body is not None else {}
    connection.request(method, target, body, {**stated, **headers})
    with connection.getresponse() as response:
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
