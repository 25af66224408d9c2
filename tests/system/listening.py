"""A vendor's own service: takes posted follow-ups and answers as a test has it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from tests.processes import soon
from tests.serving import Serving, SilentHandler


class Posted(NamedTuple):
    """One request. Names of headers are in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON document."""
        return json.loads(self.body)


Judge = Callable[[Posted, int], tuple[int, dict[str, str]]]
"""Of a request and how often its idempotency key has come by now: status and headers."""


def accept(posted: Posted, times: int) -> tuple[int, dict[str, str]]:
    """All is well."""
    return 204, {}


class Listener(Serving):
    """Takes posts while its block runs."""

    def __init__(self) -> None:
        self.judge: Judge = accept
        self.posted: list[Posted] = []
        self._lock = threading.Lock()
        super().__init__(_handler(self))

    @property
    def url(self) -> str:
        """Where to post."""
        return f"{super().url}/innkeeper"

    def take(self, posted: Posted) -> tuple[int, dict[str, str]]:
        """Note a request and judge it."""
        with self._lock:
            self.posted.append(posted)
            return self.judge(posted, len(self.of_key(posted.headers["webhook-id"])))

    def of_key(self, key: str) -> list[Posted]:
        """The requests with an idempotency key."""
        return [one for one in self.posted if one.headers["webhook-id"] == key]

    def about(self, instance: str, count: int, within_seconds: float = 15.0) -> list[Posted]:
        """What was posted about an instance, once there are `count`; fails if there never are."""

        def found() -> list[Posted]:
            return [p for p in self.posted if p.document["data"]["instance"]["id"] == instance]

        assert soon(lambda: len(found()) >= count, within_seconds), found()
        return found()


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(SilentHandler):
        def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answered = listener.take(Posted(headers, body))
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

    return Handler
