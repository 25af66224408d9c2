"""How tests speak to a receiver, and a real one on a loopback port, in a thread."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import uvicorn

from innkeeper.config import Config
from innkeeper.serving import server_config
from innkeeper_receiver.app import Receiver
from tests.processes import soon


class Answer(NamedTuple):
    """A whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Listening:
    """A receiver at a port of the loopback address."""

    port: int

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            return _answer(connection.getresponse())

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """A delivery."""
        return self.ask("POST", path, body, {"content-type": "application/json", **(headers or {})})

    def post_at_once(self, path: str, bodies: Sequence[bytes]) -> list[Answer]:
        """All of them on connections that are open by then; the answers in the same order."""
        return self.send_at_once(path, bodies)()

    def send_at_once(self, path: str, bodies: Sequence[bytes]) -> Callable[[], list[Answer]]:
        """The same in two steps: sent now, the answers are read when asked for."""
        opened = contextlib.ExitStack()
        connections = [opened.enter_context(self.connected()) for _ in bodies]
        for connection, body in zip(connections, bodies, strict=True):
            connection.sendall(head(path, f"Content-Length: {len(body)}") + body)

        def answers() -> list[Answer]:
            with opened:
                return [answer_on(connection) for connection in connections]

        return answers

    @contextlib.contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection on which a test sends whatever bytes it likes."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            yield connection


class Running(Listening):
    """A receiver that serves until it is stopped."""

    def __init__(self, config: Config) -> None:
        self.receiver = Receiver(config)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listening.getsockname()[1])
        self._server = uvicorn.Server(
            server_config(self.receiver.app, drain_seconds=2, protocol=self.receiver.door.protocol)
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listening.close()

    def until_ready(self) -> Running:
        assert soon(lambda: self._server.started)
        assert soon(lambda: self.ask("GET", "/health/ready").status == 200)
        return self


def answer_on(connection: socket.socket) -> Answer:
    """The next answer on a connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return _answer(response)


def head(path: str, *headers: str) -> bytes:
    """The head of a POST as it goes over the wire."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: inn", *headers, "", ""]).encode()


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())
