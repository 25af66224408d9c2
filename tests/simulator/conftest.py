"""A receiver and simulators for the tests of this folder."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.certificate import Certificate, make_certificate
from simulator.settings import Pace, Settings
from tests.simulator.running import Receiver, Simulator, simulator

Start = Callable[..., Simulator]
QUICK = Pace(scale=0.0001, concurrency=1, answer_within=5)


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes everything, unless it is told otherwise."""
    running = Receiver()
    yield running
    running.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Of the issuers' host."""
    return make_certificate(tmp_path, "127.0.0.1")


@pytest.fixture
def start(receiver: Receiver) -> Iterator[Start]:
    """Starts simulators before the receiver: without TLS, one delivery after the other."""
    with contextlib.ExitStack() as stack:

        def begin(certificate: Certificate | None = None, **changes: Any) -> Simulator:
            given: dict[str, Any] = {
                "port": free_port(),
                "tls_port": free_port() if certificate else None,
                "receiver": receiver.url,
                "algorithms": ("es256", "es384"),
                "customers": 6,
                "pace": QUICK,
            }
            return stack.enter_context(simulator(Settings(**(given | changes)), certificate))

        yield begin
