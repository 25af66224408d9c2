"""Many connections at once: a sender is served beside them, and an end comes in time."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from innkeeper.store.connection import Store
from tests.deliveries import PATH
from tests.processes import soon
from tests.receiver.process import ReceiverProcess, fresh
from tests.receiver.running import answer_on, head

MOST_SECONDS = 5.0
"""What a sender may have to wait on a machine with much else to do."""
IDLE = 5000
SLOW = 900
BODIES = b'{"jwt": "' + b"x" * 1000
MakeReceiver = Callable[..., ReceiverProcess]


@pytest.fixture
def begin(tmp_path: Path, valkey_url: str) -> Iterator[MakeReceiver]:
    """Starts receivers; arguments as for `ReceiverProcess`."""
    with contextlib.ExitStack() as started:

        def make(*settings: str, open_files: int | None = None) -> ReceiverProcess:
            receiver = ReceiverProcess(tmp_path, valkey_url, *settings, open_files=open_files)
            started.callback(receiver.end)
            return receiver.until_ready()

        yield make


@pytest.fixture
def pause(valkey_url: str) -> Iterator[Callable[[float], None]]:
    """Lets the store answer nobody for some seconds."""
    with contextlib.closing(Store(valkey_url)) as store:

        def hold(seconds: float) -> None:
            store.command("CLIENT", "PAUSE", int(seconds * 1000), "WRITE")

        yield hold
        store.command("CLIENT", "UNPAUSE")


@contextlib.contextmanager
def opened(receiver: ReceiverProcess, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, on each of which so much has been sent."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connections.append(stack.enter_context(receiver.connected()))
            if sent:
                connections[-1].sendall(sent)
        yield connections


def shed(receiver: ReceiverProcess, share: str) -> float:
    """How many of them had to go."""
    line = f'innkeeper_shed_total{{share="{share}"}} '
    lines = receiver.ask("GET", "/metrics").body.decode().splitlines()
    return sum(float(one.removeprefix(line)) for one in lines if one.startswith(line))


def serves(receiver: ReceiverProcess, deliveries: int) -> float:
    """The longest time that one of so many deliveries took, each on a connection of its own."""
    took = []
    for _ in range(deliveries):
        body, started = fresh(), time.monotonic()
        assert receiver.post(PATH, body).status == 202
        took.append(time.monotonic() - started)
    return max(took)


@pytest.fixture
def open_files() -> Iterator[None]:
    """Lets this process open more files than the idle connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine lets a process open no more than {hard} files")
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_connections_delay_nobody(begin: MakeReceiver):
    """900 half heads and bodies are held while a sender is served; each gets its 408."""
    receiver = begin('headers_within = "2s"', 'body_within = "2s"')
    half_body = head(PATH, "Content-Length: 5000") + BODIES
    half_head = half_body[:60]
    with (
        opened(receiver, SLOW // 2, half_head) as heads,
        opened(receiver, SLOW // 2, half_body) as bodies,
    ):
        assert serves(receiver, 20) < MOST_SECONDS
        statuses = [answer_on(connection).status for connection in heads + bodies]
    assert statuses == [408] * SLOW
    assert shed(receiver, "heads") == shed(receiver, "slow_bodies") == 0


@pytest.mark.usefixtures("open_files")
def test_idle_connections_make_room(begin: MakeReceiver):
    """Of 5,000 idle ones 2,000 are held, the last; a sender is served, and memory stays small."""
    receiver = begin("max_connections = 2000", 'headers_within = "1m"')
    before = receiver.memory
    with opened(receiver, IDLE, b""):
        assert serves(receiver, 20) < MOST_SECONDS
        assert shed(receiver, "heads") >= IDLE - 2000
        held = len(list(Path(f"/proc/{receiver.process.pid}/fd").iterdir()))
        assert held < 2100
    assert receiver.most_memory - before < 64 << 20
    assert "error" not in receiver.log.lower()


def test_slow_bodies_make_room(begin: MakeReceiver):
    """Where no connection waits for a head, the body that is late the longest gets 503."""
    receiver = begin("max_connections = 3")
    asking = head(PATH, "Content-Length: 5000", "Expect: 100-continue")
    with opened(receiver, 3, asking) as bodies:
        assert [one.recv(100)[9:12] for one in bodies] == [b"100"] * 3
        assert serves(receiver, 1) < MOST_SECONDS
        answer = answer_on(bodies[0])
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert answer.headers["retry-after"].isdecimal()


def test_where_all_are_busy_a_new_one_is_turned_away(
    begin: MakeReceiver, pause: Callable[[float], None]
):
    """503 with Retry-After, at once and unasked; those that were there are answered."""
    receiver = begin("max_connections = 2")
    pause(1.2)
    sent = [whole(fresh()), whole(fresh())]
    with receiver.connected() as first, receiver.connected() as second:
        for connection, body in zip((first, second), sent, strict=True):
            connection.sendall(body)
        time.sleep(0.4)
        with receiver.connected() as third:
            answer = answer_on(third)
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert answer.headers["retry-after"].isdecimal()
        assert [answer_on(one).status for one in (first, second)] == [202, 202]
    assert shed(receiver, "connections") == 1


def test_where_few_files_may_be_open_fewer_connections_are_held(begin: MakeReceiver):
    """The hard limit lowers the cap, which one line of the log says; nobody hangs."""
    receiver = begin(open_files=300)
    lines = [line for line in receiver.log.splitlines() if "connections.capped" in line]
    assert len(lines) == 1
    assert '"most":44' in lines[0]
    with opened(receiver, 400, b""):
        assert serves(receiver, 3) < MOST_SECONDS


def test_an_end_comes_in_time(begin: MakeReceiver, pause: Callable[[float], None]):
    """SIGTERM: what is being stored is answered; idle and half requests hold up nothing."""
    receiver = begin('headers_within = "30s"', 'body_within = "30s"')
    half_body = head(PATH, "Content-Length: 5000") + BODIES
    with (
        opened(receiver, 20, b"") as idle,
        opened(receiver, 20, half_body[:60]) as heads,
        opened(receiver, 20, half_body) as bodies,
        opened(receiver, 5, b"") as busy,
        receiver.connected() as late,
    ):
        pause(0.7)
        send_to(busy, [whole(fresh()) for _ in busy])
        rest = whole(fresh())
        late.sendall(rest[:-10])
        time.sleep(0.2)
        started = time.monotonic()
        receiver.process.send_signal(signal.SIGTERM)
        assert soon(lambda: refuses(receiver))
        late.sendall(rest[-10:])
        assert [answer_on(one).status for one in (*busy, late)] == [202] * 6
        assert [answer_on(one).status for one in bodies] == [503] * 20
        assert [one.recv(1) for one in (*idle, *heads)] == [b""] * 40
        assert receiver.process.wait(10) == 0
        assert time.monotonic() - started < 6
    assert "Traceback" not in receiver.log


def whole(body: bytes) -> bytes:
    """A request with that body."""
    return head(PATH, f"Content-Length: {len(body)}") + body


def send_to(connections: Sequence[socket.socket], requests: Sequence[bytes]) -> None:
    """One on each."""
    for connection, request in zip(connections, requests, strict=True):
        connection.sendall(request)


def refuses(receiver: ReceiverProcess) -> bool:
    """Whether no new connection can be had."""
    try:
        with receiver.connected():
            return False
    except OSError:
        return True
