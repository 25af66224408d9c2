"""APIs of marketplaces on `tests.sites`: answers by path, in turn, and the requests taken apart."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.sites import Reply, Site, reply, site

NOW = 1_790_000_000.0
OK = "200 OK"


def said(document: Any, status: str = OK, *headers: str) -> bytes:
    """An answer whose body is JSON."""
    body = json.dumps(document).encode()
    return reply(status, body, "Content-Type: application/json; charset=utf-8", *headers)


def html(status: str = OK) -> bytes:
    """What a proxy answers that stands before an API which is away."""
    return reply(status, b"<!DOCTYPE html><p>Back soon", "Content-Type: text/html")


@contextlib.contextmanager
def granting_api() -> Iterator[Api]:
    """An API of Xurrent's in which signing in gives the tokens `first` and `second`."""
    with site() as running:
        api = Api(running)
        granted = [{"access_token": name, "expires_in": 600} for name in ("first", "second")]
        api.answers("/token", *map(said, granted))
        yield api


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class _InTurn(dict[str, Reply]):
    """Replies by path without query: one after the other, the last one again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, list[Reply]] = {}

    def get(self, target: str, default: Any = None) -> Any:
        queue = self.queues.get(target.partition("?")[0])
        if not queue:
            return default
        return queue.pop(0) if len(queue) > 1 else queue[0]


class Api:
    """An API; a path that was given no answer is not there."""

    def __init__(self, running: Site) -> None:
        self.url = f"http://127.0.0.1:{running.port}"
        self._site = running
        self._replies = _InTurn()
        running.replies = self._replies

    def answers(self, path: str, *replies: Reply) -> None:
        """From now on a path gives these, in turn, and the last one for ever."""
        self._replies.queues[path] = list(replies)

    @property
    def requests(self) -> list[Request]:
        return [_taken_apart(request) for request in self._site.requests]

    def to(self, path: str) -> list[Request]:
        """The requests to a path, in their order."""
        return [request for request in self.requests if request.path == path]

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


def _taken_apart(raw: bytes) -> Request:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, parts.path, query, headers, body)
