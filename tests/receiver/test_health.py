"""Health: alive whatever happens to the store; ready while a delivery can be made durable."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from innkeeper.config import Config, StoreSection
from innkeeper.store.connection import Store
from innkeeper.store.keys import EPOCH, SCHEMA
from tests.deliveries import PATH, delivery, lifecycle
from tests.keys import key_for, public_pem
from tests.processes import free_port, python, soon
from tests.receiver.conftest import Start
from tests.receiver.running import Running, answer_on, head
from tests.store.servers import Server, server

SERVE = """
import sys
from pathlib import Path
from innkeeper.config import Bind, Config, QueueSection, ReceiverSection, StoreSection
from innkeeper.platforms.jws import signing_policy
from innkeeper_receiver.serving import serve
from tests.deliveries import xurrent_app
url, port, folder, key = sys.argv[1:]
serve(Config(
    data=Path(folder), store=StoreSection(url=url), queue=QueueSection(url=url),
    receiver=ReceiverSection(bind=Bind(host="127.0.0.1", port=int(port))),
    apps=(xurrent_app(policy=signing_policy("RS256", key)),), secret_keys=(bytes(32),),
))
"""

KEY = public_pem(key_for("RS256"))


def ready(receiver: Running) -> tuple[int, str, str]:
    """Status, and what the body says of the receiver and of the store."""
    answer = receiver.ask("GET", "/health/ready")
    return answer.status, answer.json["status"], answer.json["store"]


def test_a_good_receiver_is_alive_and_ready(receiver: Running):
    """200 for both, and the store is named."""
    assert receiver.ask("GET", "/health/live").json == {"status": "ok"}
    assert ready(receiver) == (200, "ok", "ok")


def test_only_reading_is_allowed(receiver: Running):
    """405 with what is allowed."""
    answer = receiver.ask("POST", "/health/ready")
    assert (answer.status, answer.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in answer.headers["allow"]


def test_without_a_store_it_is_alive_and_not_ready(config: Config, store: Store):
    """503 from the start until the store has been seen; then 200, and 503 again when it goes."""
    with server() as own:
        own.kill()
        running = Running(replace(config, store=StoreSection(url=own.url)))
        try:
            assert soon(lambda: ready(running)[2].startswith("unavailable"))
            assert ready(running)[:2] == (503, "not ready")
            assert running.ask("GET", "/health/live").status == 200
            own.start()
            assert soon(lambda: ready(running)[0] == 200, 5)
            own.kill()
            assert soon(lambda: ready(running)[0] == 503, 5)
        finally:
            running.stop()


def test_a_hung_store_is_not_ready(start: Start):
    """503 while the store does not answer, though its connection stands."""
    with server() as own:
        running = start(store=StoreSection(url=own.url))
        os.kill(own.pid, signal.SIGSTOP)
        assert soon(lambda: ready(running)[0] == 503, 5)
        os.kill(own.pid, signal.SIGCONT)
        assert soon(lambda: ready(running)[0] == 200, 5)


def test_a_wiped_store_is_taken_into_use(receiver: Running, store: Store):
    """FLUSHALL under a running receiver: it gets an epoch again, and deliveries go on."""
    assert soon(lambda: bool(store.command("GET", EPOCH)))
    store.command("FLUSHALL")
    assert receiver.post(PATH, delivery(lifecycle())).status == 202
    assert soon(lambda: bool(store.command("GET", EPOCH)), 3)
    assert ready(receiver)[0] == 200


@pytest.fixture
def own() -> Iterator[Server]:
    """A store for a receiver in a process of its own."""
    with server() as running:
        yield running


def test_a_newer_store_is_refused(own: Server, tmp_path: Path):
    """The process ends with 1, and has written nothing but a bell."""
    with Store(own.url).redis as raw:
        raw.set(SCHEMA, 99)
        with python(SERVE, own.url, free_port(), tmp_path, KEY) as process:
            assert process.wait(20) == 1
        assert raw.keys("ik:{*") + raw.keys(EPOCH) == []


def test_a_signal_lets_it_finish(own: Server, tmp_path: Path):
    """SIGTERM twice: the request under way is answered, and the process ends with 0."""
    port, body = free_port(), delivery(lifecycle())
    with python(SERVE, own.url, port, tmp_path, KEY) as process:
        assert soon(lambda: listens(port))
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(head(PATH, f"Content-Length: {len(body)}") + body[:100])
            time.sleep(0.3)
            for _ in range(2):
                process.terminate()
            assert soon(lambda: not listens(port))
            connection.sendall(body[100:])
            assert answer_on(connection).status == 202
        assert process.wait(20) == 0


def listens(port: int) -> bool:
    """Whether anybody takes connections there."""
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
