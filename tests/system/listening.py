"""A vendor's own service: takes posted follow-ups and answers as a test has it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.processes import soon


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


class Listener:
    """Listens on a free port of the loopback address while its block runs."""

    def __init__(self) -> None:
        self.judge: Judge = accept
        self.posted: list[Posted] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_port}/innkeeper"

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

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
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answered = listener.take(Posted(headers, body))
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    return Handler
