"""The connection: scripts that the server forgot, errors in our words, servers that are away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from innkeeper.secrets import KeyRing
from innkeeper.store.connection import AsyncStore, Command, Store, script
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.keys import keys_of
from innkeeper.store.log import append_command, prepare
from tests.store.making import PARTITION, logged, new_entry
from tests.store.servers import Server, server

Attempt = Callable[[list[Command]], list]
NOBODY = "unix:///tmp/ik-nobody-listens-here"


@pytest.fixture
def running() -> Iterator[Server]:
    """A server that may be stopped and killed."""
    with server() as started:
        yield started


@pytest.fixture(params=["Store", "AsyncStore"])
def attempt(request: pytest.FixtureRequest, valkey_url: str, store: Store) -> Attempt:
    """`attempt` of either connection, to the server that `store` has emptied."""
    if request.param == "Store":
        return lambda commands: store.attempt(commands)

    async def run(commands: list[Command]) -> list:
        async with _opened(valkey_url) as opened:
            return await opened.attempt(commands)

    return lambda commands: asyncio.run(run(commands))


@contextlib.asynccontextmanager
async def _opened(url: str, timeout_seconds: float = 1.5) -> AsyncIterator[AsyncStore]:
    opened = AsyncStore(url, timeout_seconds=timeout_seconds)
    try:
        yield opened
    finally:
        await opened.close()


def _append(ring: KeyRing, name: str) -> Command:
    return append_command([prepare(new_entry(name), ring)])


def test_every_script_is_in_the_package():
    """A script is known by the SHA-1 of its text, and read once."""
    known = script("append")
    assert known is script("append")
    assert ("EVALSHA", known.sha, 1, "k", 2) == known.call(["k"], [2])
    with pytest.raises(FileNotFoundError):
        script("nothing")


def test_answers_in_order(attempt: Attempt):
    """Many commands take one round trip, and each has its answer in its place."""
    calls: list[Command] = [("SET", f"k{n}", n) for n in range(300)]
    calls += [("GET", f"k{n}") for n in range(300)]
    answers = attempt(calls)
    assert [str(n).encode() for n in range(300)] == answers[300:]


def test_a_forgotten_script_is_loaded(store: Store, attempt: Attempt, ring: KeyRing):
    """After a restart or SCRIPT FLUSH a single call loads its script, and runs it once."""
    store.command("SCRIPT", "FLUSH")
    ((first,),) = attempt([_append(ring, "a")])
    ((again,),) = attempt([_append(ring, "a")])
    assert (first[0], again[0]) == (1, 0)
    assert len(logged(store)) == 1


def test_forgotten_scripts_in_a_batch(store: Store, attempt: Attempt, ring: KeyRing):
    """In a batch only the calls that the server did not know are made again."""
    keys = keys_of(PARTITION)
    store.command("SCRIPT", "FLUSH")
    answers = attempt(
        [
            ("INCR", "n"),
            _append(ring, "a"),
            script("probe").call([keys.log, keys.cursor], []),
            _append(ring, "b"),
            ("INCR", "n"),
            ("HINCRBY", "n", "f", 1),
        ]
    )
    assert [answers[0], answers[4]] == [1, 2]
    assert [answers[1][0][0], answers[2], answers[3][0][0]] == [1, [1], 1]
    assert isinstance(answers[5], StoreError)
    assert len(logged(store)) == 2


def test_an_error_stands_in_its_place(attempt: Attempt):
    """What the server refuses is a StoreError among the answers; the other commands were run."""
    answers = attempt([("SET", "k", "text"), ("INCR", "k"), ("NOTHING",), ("GET", "k")])
    assert [isinstance(one, StoreError) for one in answers] == [False, True, True, False]
    assert answers[3] == b"text"
    assert "not an integer" in str(answers[1])


def test_a_batch_raises_the_first_error(store: Store):
    """`batch` and `command` raise; what else was in the batch has been run."""
    with pytest.raises(StoreError, match="not an integer"):
        store.batch([("SET", "k", "a"), ("INCR", "k"), ("NOTHING",), ("SET", "l", "b")])
    assert store.command("GET", "l") == b"b"
    with pytest.raises(StoreError, match="NOTHING"):
        store.command("NOTHING")


def test_the_receivers_command(valkey_url: str, store: Store):
    """The receiver's single command gives its answer, or raises."""

    async def run() -> None:
        async with _opened(valkey_url) as opened:
            await opened.command("SET", "k", "a")
            assert await opened.command("GET", "k") == b"a"
            with pytest.raises(StoreError, match="not an integer"):
                await opened.command("INCR", "k")

    asyncio.run(run())


@pytest.mark.parametrize("url", [NOBODY, "redis://127.0.0.1:1"])
def test_nobody_there(url: str):
    """Without a server both connections say at once that the store cannot be reached."""
    began = time.monotonic()
    with contextlib.closing(Store(url)) as store, pytest.raises(StoreUnavailable):
        store.command("PING")

    async def run() -> None:
        async with _opened(url) as opened:
            with pytest.raises(StoreUnavailable):
                await opened.command("PING")

    asyncio.run(run())
    assert time.monotonic() - began < 1


def test_a_server_that_went_and_came_back(running: Server):
    """While the server is down every call says so; when it is back the same connection works."""
    with contextlib.closing(Store(running.url)) as store:
        store.command("SET", "k", "a")
        running.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                store.command("GET", "k")
        running.start()
        assert store.command("GET", "k") == b"a"
        running.kill()
        running.start()
        assert store.command("GET", "k") == b"a"


def test_the_receiver_goes_on_after_a_restart(running: Server):
    """The receiver's connection, too, works again as soon as the server does."""

    async def run() -> None:
        async with _opened(running.url) as store:
            await store.command("SET", "k", "a")
            await asyncio.to_thread(running.kill)
            with pytest.raises(StoreUnavailable):
                await store.command("GET", "k")
            await asyncio.to_thread(running.start)
            assert await store.command("GET", "k") == b"a"
            await asyncio.to_thread(running.kill)
            await asyncio.to_thread(running.start)
            assert await store.command("GET", "k") == b"a"

    asyncio.run(run())


@pytest.mark.parametrize("warm", [True, False], ids=["open connection", "new connection"])
def test_a_hung_server(running: Server, warm: bool):
    """From a server that hangs nobody waits longer than the time-out, and it is served again."""
    with contextlib.closing(Store(running.url, timeout_seconds=0.3)) as store:
        if warm:
            store.command("PING")
        with running.hung():
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                store.command("GET", "k")
            assert time.monotonic() - began < 1
        assert store.command("PING")


def test_a_server_that_takes_no_connection():
    """Nor does a connection that is never made hold anybody for longer than the time-out."""
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listening.getsockname()[1]
        for _ in range(4):  # more than the queue of those who wait holds
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        url, began = f"redis://127.0.0.1:{port}", time.monotonic()
        store = opened.enter_context(contextlib.closing(Store(url, timeout_seconds=0.3)))
        with pytest.raises(StoreUnavailable):
            store.command("PING")

        async def run() -> None:
            async with _opened(url, 0.3) as other:
                with pytest.raises(StoreUnavailable):
                    await other.command("PING")

        asyncio.run(run())
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("warm", [True, False], ids=["open connection", "new connection"])
def test_a_hung_server_does_not_freeze_the_receiver(running: Server, warm: bool):
    """While the receiver waits for a hung server its loop goes on, and the wait ends in time."""

    async def run() -> None:
        async with _opened(running.url, 0.3) as store:
            if warm:
                await store.command("PING")
            with running.hung():
                waits = await _both(store.command("GET", "k"))
            assert 0.2 < waits < 1
            assert await store.command("PING")

    async def _both(asked: Awaitable[object]) -> float:
        began, longest = time.monotonic(), 0.0
        task = asyncio.ensure_future(asked)
        while not task.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert isinstance(task.exception(), StoreUnavailable)
        assert longest < 0.2
        return time.monotonic() - began

    asyncio.run(run())


def test_late_answers_belong_to_nobody(running: Server):
    """After a time-out the next command gets its own answer, not the one that came late."""
    with contextlib.closing(Store(running.url, timeout_seconds=0.3)) as store:
        store.batch([("SET", "a", "1"), ("SET", "b", "2")])
        with running.hung(), pytest.raises(StoreUnavailable):
            store.command("GET", "a")
        assert store.command("GET", "b") == b"2"
