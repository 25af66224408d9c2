"""The console as a process: who is slow or sends too much does not hold it up."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import free_port, python, soon
from tests.receiver.running import Answer, answer_on
from tests.store.servers import server

SERVE = """
import sys
from pathlib import Path
from innkeeper.config import Bind, Config, ConsoleSection, QueueSection
from innkeeper.config import ReceiverSection, StoreSection
from innkeeper_console.serving import serve
url, port, folder = sys.argv[1:]
serve(Config(
    data=Path(folder), store=StoreSection(url=url), queue=QueueSection(url=url),
    console=ConsoleSection(bind=Bind(host="127.0.0.1", port=int(port))),
    receiver=ReceiverSection(headers_within=1.0, body_within=1.0),
    secret_keys=(bytes(32),), api_tokens=("token-1", "token-2"),
))
"""
PATCH = "PATCH /app_instances/xurrent/notes/acme HTTP/1.1"
TOKEN = "Authorization: Bearer token-2"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a console that gives heads and bodies a second."""
    folder, found = tmp_path_factory.mktemp("console"), free_port()
    with server() as running, python(SERVE, running.url, found, folder):
        assert soon(lambda: _get(found).status == 200)
        yield found


def _get(port: int) -> Answer:
    with contextlib.suppress(OSError), _connected(port) as connection:
        connection.sendall(_head("GET /health HTTP/1.1", "Connection: close"))
        return answer_on(connection)
    return Answer(0, {}, b"")


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        yield connection


def _head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: inn", TOKEN, *headers, "", ""]).encode()


def test_a_slow_head(port: int):
    """408 when its time is over."""
    with _connected(port) as connection:
        connection.sendall(_head(PATCH)[:-10])
        started = time.monotonic()
        assert answer_on(connection).status == 408
        assert time.monotonic() - started < 3


def test_a_slow_body(port: int):
    """408 as well, as a problem document."""
    with _connected(port) as connection:
        connection.sendall(_head(PATCH, "Content-Length: 100") + b'{"disabled"')
        answer = answer_on(connection)
    assert (answer.status, answer.json["detail"]) == (408, "the body took longer than 1 s")


@pytest.mark.parametrize("framed", ["Content-Length: 99999999", "Transfer-Encoding: chunked"])
def test_a_huge_body(port: int, framed: str):
    """413 before it has come, whether it is announced or not."""
    with _connected(port) as connection:
        connection.sendall(_head(PATCH, framed))
        with contextlib.suppress(OSError):
            for _ in range(40):
                connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        assert answer_on(connection).status == 413


def test_a_huge_head(port: int):
    """431."""
    with _connected(port) as connection, contextlib.suppress(OSError):
        connection.sendall(_head(PATCH, f"X-Much: {'x' * 40_000}"))
        assert answer_on(connection).status == 431


def test_many_that_say_nothing(port: int):
    """Operators are served beside 300 connections that wait for a request."""
    with contextlib.ExitStack() as opened:
        for _ in range(300):
            opened.enter_context(_connected(port))
        started = time.monotonic()
        assert _get(port).status == 200
        assert time.monotonic() - started < 3


def test_each_token_is_good_until_it_is_taken_out(port: int):
    """Two are valid at once, so that one can be replaced without a gap; a third is not."""
    for token, status in (("token-1", 200), ("token-2", 200), ("token-3", 401), ("token-", 401)):
        with _connected(port) as connection:
            line = f"GET /app_instances HTTP/1.1\r\nHost: inn\r\nAuthorization: Bearer {token}"
            connection.sendall(f"{line}\r\n\r\n".encode())
            assert answer_on(connection).status == status


def test_an_open_console_needs_a_token(tmp_path: Path):
    """Bound to more than this machine, without a variable or a file: exit 2, and why."""
    source = "from innkeeper_console.cli import main; main(['console'])"
    surroundings = {
        "INNKEEPER_CONSOLE_BIND": f"0.0.0.0:{free_port()}",
        "INNKEEPER_DATA": str(tmp_path / "data"),
        "INNKEEPER_API_TOKEN": "",
        "INNKEEPER_SECRET_KEYS": "",
    }
    with python(source, cwd=tmp_path, **surroundings) as process:
        assert process.wait(20) == 2
    assert not (tmp_path / "data").exists()
