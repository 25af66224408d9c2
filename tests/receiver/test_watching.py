"""The receiver's eye on its store: trusted at the start and ever after, and the same as before."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from innkeeper.config import Config, StoreSection
from innkeeper.operations.epochs import known_epoch
from innkeeper.store import trust
from innkeeper.store.connection import AsyncStore, Store
from innkeeper_receiver import watching
from tests.processes import free_port, python, soon
from tests.receiver.running import Running
from tests.store.servers import Server, server

SERVE = """
import sys
from pathlib import Path
from innkeeper.config import Bind, Config, QueueSection, ReceiverSection, StoreSection
from innkeeper_receiver.serving import serve
url, port, folder, durability = sys.argv[1:]
sys.stderr = sys.stdout
serve(Config(
    data=Path(folder), store=StoreSection(url=url, durability=durability),
    queue=QueueSection(url=url), secret_keys=(bytes(32),),
    receiver=ReceiverSection(bind=Bind(host="127.0.0.1", port=int(port))),
))
"""


@pytest.fixture
def own() -> Iterator[Server]:
    """A store of a test's own."""
    with server() as running:
        yield running


@pytest.fixture
def start(config: Config, own: Server, tmp_path: Path) -> Iterator[Any]:
    """Starts receivers on it, one at a time, with the same data folder."""
    started: list[Running] = []

    def start_one() -> Running:
        section = StoreSection(url=own.url)
        started.append(Running(replace(config, data=tmp_path, store=section)))
        return started[-1].until_ready()

    yield start_one
    for running in started:
        running.stop()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"appendonly": "no"}, "appendonly yes"),
        ({"appendfsync": "everysec"}, "appendfsync always"),
        ({"maxmemory_policy": "allkeys-lru"}, "noeviction"),
        ({"replicaof": "127.0.0.1 1"}, "primary"),
    ],
)
def test_an_untrustworthy_store_is_refused(settings: dict[str, str], word: str, tmp_path: Path):
    """The process ends with 1 and the reason within seconds; but for a bell, nothing is written."""
    with server(**settings) as own:
        started = time.monotonic()
        with python(SERVE, own.url, free_port(), tmp_path, "fsync") as process:
            printed = process.communicate(timeout=20)[0]
        assert process.returncode == 1
        assert time.monotonic() - started < 10
        said = printed.splitlines()[-1]
        assert said.startswith("innkeeper receiver: the store cannot be trusted: ")
        assert word in said
        with Store(own.url).redis as raw:
            assert raw.keys("ik:{*") + raw.keys("ik:epoch") == []


class Odd(socketserver.StreamRequestHandler):
    """No Redis: whatever is asked, the answer is 1."""

    def handle(self) -> None:
        for line in self.rfile:
            if line.startswith(b"*"):
                self.wfile.write(b":1\r\n")


def test_a_receiver_that_cannot_go_on_ends(tmp_path: Path):
    """Something that is no store turns up in its place: the process ends with 1 and says why, where
    its senders would wait for ever."""
    with server() as own, python(SERVE, own.url, free_port(), tmp_path, "fsync") as process:
        assert soon(lambda: known_epoch(tmp_path) is not None)
        own.kill()
        (own.folder / "s").unlink(missing_ok=True)
        with socketserver.ThreadingUnixStreamServer(str(own.folder / "s"), Odd) as odd:
            odd.daemon_threads = True
            threading.Thread(target=odd.serve_forever, daemon=True).start()
            printed = process.communicate(timeout=20)[0]
            odd.shutdown()
    assert process.returncode == 1
    assert '"receiver.failed"' in printed
    assert printed.splitlines()[-1].startswith("innkeeper receiver: AttributeError")


def test_what_is_accepted_is_not_refused(tmp_path: Path):
    """Without a file, a store will do for whoever accepts to lose all of it."""
    with (
        server(appendonly="no") as own,
        python(SERVE, own.url, free_port(), tmp_path, "memory") as process,
    ):
        assert soon(lambda: known_epoch(tmp_path) is not None)
        process.terminate()
        assert process.wait(20) == 0


def test_settings_that_turn_bad_stop_the_use(
    own: Server, start: Any, monkeypatch: pytest.MonkeyPatch
):
    """Said once with the reason, and once when it is right again; the process stays."""
    monkeypatch.setattr(trust, "INSPECT_SECONDS", 0.5)
    watch = start().receiver.watch
    assert (watch.checked, watch.usable, watch.state) == (True, True, "ok")
    with capture_logs() as logs, Store(own.url).redis as raw:
        raw.config_set("appendfsync", "no")
        assert soon(lambda: not watch.usable, 5)
        assert "appendfsync always" in watch.state
        time.sleep(2.5)
        raw.config_set("appendfsync", "always")
        assert soon(lambda: watch.usable, 5)
    told = [line for line in logs if line["event"].startswith("store.")]
    assert [(line["event"], line["log_level"]) for line in told] == [
        ("store.untrusted", "error"), ("store.state", "info"),
    ]  # fmt: skip
    assert "appendfsync always" in told[0]["reason"]
    assert told[1]["state"] == "ok"


def test_a_server_started_anew_is_looked_at_anew(own: Server, start: Any):
    """However short it was away: with other settings it is not used, before the next turn."""
    watch = start().receiver.watch
    own.kill()
    own.settings = {"maxmemory_policy": "allkeys-lru"}
    own.start()
    assert soon(lambda: "noeviction" in watch.state, 5)
    assert not watch.usable
    own.kill()
    assert soon(lambda: watch.state.startswith("unavailable"), 5)
    own.settings = {}
    own.start()
    assert soon(lambda: watch.usable, 5)


def test_a_full_disk_at_the_start_is_no_refusal(config: Config, own: Server, tmp_path: Path):
    """It may pass: the receiver is there, does not use the store, and says why."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits of another process: Linux only")
    own.kill()
    own.settings = {"appendfsync": "everysec"}
    own.start()
    resource.prlimit(own.pid, resource.RLIMIT_FSIZE, (1 << 10, resource.RLIM_INFINITY))
    with Store(own.url).redis as raw:
        raw.set("key", b"x" * (1 << 12))
        assert soon(lambda: raw.info("persistence")["aof_last_write_status"] == "err", 5)
    section = StoreSection(url=own.url, durability="everysec")
    running = Running(replace(config, data=tmp_path, store=section))
    try:
        watch = running.receiver.watch
        assert soon(lambda: watch.checked)
        assert (watch.usable, watch.refused) == (False, None)
        assert "append-only file" in watch.state
        resource.prlimit(own.pid, resource.RLIMIT_FSIZE, (-1, resource.RLIM_INFINITY))
        assert soon(lambda: watch.usable, 5)
    finally:
        running.stop()


def test_the_first_look_waits_for_nobody(config: Config, tmp_path: Path):
    """A store that is away, or connects and says nothing, holds nobody up for long."""

    async def look(url: str) -> tuple[bool, bool, str]:
        store = AsyncStore(url)
        other = replace(config, data=tmp_path, store=StoreSection(url=url))
        watch = watching.StoreWatch(store, other, lambda: None)
        started = time.monotonic()
        await watch.first_look()
        assert time.monotonic() - started < 2.5
        await store.close()
        return watch.checked, watch.usable, watch.state

    assert asyncio.run(look("redis://127.0.0.1:1"))[:2] == (False, False)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        assert asyncio.run(look(url))[:2] == (False, False)


def test_a_store_wiped_meanwhile_is_told_at_the_start(own: Server, start: Any, tmp_path: Path):
    """The last known epoch outlives the process."""
    start().stop()
    before = known_epoch(tmp_path)
    assert before is not None
    with Store(own.url).redis as raw:
        raw.flushall()
    with capture_logs() as logs:
        start()
    now = known_epoch(tmp_path)
    assert now is not None
    assert now.before is not None
    assert (now.before.epoch, now.before.since) == (before.epoch, before.since)
    (told,) = [line for line in logs if line["event"] == "store.epoch_changed"]
    assert (told["before"], told["now"], told["log_level"]) == (before.epoch, now.epoch, "error")
