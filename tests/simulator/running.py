"""A simulator on a loop of its own, and a receiver that answers it just as told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import jwt

from simulator.certificate import Certificate
from simulator.run import Run
from simulator.servers import serving
from simulator.settings import CLIENT_ID, CLIENT_SECRET, Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT_HEADERS = {"X-Xurrent-Account": "wdc", "X-4me-Account": "wdc"}


class Taken:
    """A POST that the receiver got."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body

    @property
    def document(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def claims(self) -> dict[str, Any]:
        """What the token says, whoever signed it."""
        options: Any = {"verify_signature": False}
        claims: dict[str, Any] = jwt.decode(self.document["jwt"], options=options)
        return claims


class Receiver:
    """Keeps all that comes in; `answer` gives the status, and may take its time."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.answer: Callable[[Taken], int] = lambda _: 202
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                taken = Taken(self.path, headers, self.rfile.read(length))
                receiver.taken.append(taken)
                status = receiver.answer(taken)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def events(self) -> list[str]:
        """What the Xurrent deliveries are about, in the order of arrival."""
        return [taken.claims["data"]["event"] for taken in self.taken]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


class Simulator:
    """Spoken to over HTTP only, but for `run`, which a test may read."""

    def __init__(self, run: Run, client: httpx2.Client) -> None:
        self.run, self._client = run, client

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self._client.get(path, headers=headers)

    def send(self, method: str, path: str, document: Any = None, **headers: str) -> httpx2.Response:
        return self._client.request(method, path, json=document, headers=headers)

    def control(self, path: str, document: dict[str, Any] | None = None) -> Any:
        """GET, or POST a document; the answer's own."""
        if document is None:
            answer = self._client.get(f"/control/{path}")
        else:
            answer = self._client.post(f"/control/{path}", json=document)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def perform(self, app: str, account: str, *names: str) -> None:
        """These actions, each told of before the next."""
        for name in names:
            self.control("perform", {"app": app, "account": account, "action": name})
            self.control("settle", {})

    def xurrent(self) -> dict[str, str]:
        """Headers of the provider, signed in."""
        form = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "grant_type": "client_credentials",
        }
        token = self._client.post("/xurrent/token", data=form).json()["access_token"]
        return {"Authorization": f"Bearer {token}", **ACCOUNT_HEADERS}

    def deliveries(self, **wanted: str) -> list[dict[str, Any]]:
        """The simulator's own record of them."""
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        found: list[dict[str, Any]] = self.control(f"deliveries?{query}")["deliveries"]
        return found


@contextlib.contextmanager
def simulator(settings: Settings, certificate: Certificate | None = None) -> Iterator[Simulator]:
    """A simulator for the time of a test."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready: list[Run] = []
    failed: list[BaseException] = []

    async def live() -> None:
        run = Run(settings, START)
        async with serving(run, certificate):
            ready.append(run)
            await stop.wait()

    def turn() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        while not ready and not failed:
            time.sleep(0.01)
        if failed:
            raise failed[0]
        with httpx2.Client(base_url=settings.base, trust_env=False, timeout=30) as client:
            yield Simulator(ready[0], client)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
