"""The worker processes and a store that cannot be trusted, or is not the one that it was."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from innkeeper.config import Config
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import open_desk
from innkeeper.operations.epochs import known_epoch
from innkeeper.store import schema
from innkeeper_console.embedded import EmbeddedServer
from tests.conftest import KEY as RING_KEY
from tests.lifecycle.telling import OPERATES, brings, states
from tests.processes import python, soon
from tests.store.servers import server
from tests.workers.conftest import Inn
from tests.workers.shores import note, shores
from tests.workers.test_processes import children_of

RUN = f"""
import sys
from pathlib import Path
from types import SimpleNamespace
from innkeeper.config import Config, FollowUp, StoreSection
from innkeeper.store import trust
from innkeeper_workers import supervisor
from tests.workers.shores import on_xurrent
data, store, shore = sys.argv[1:]
trust.INSPECT_SECONDS = 0.5
supervisor.run(Config(
    data=Path(data), store=StoreSection(url=store or None),
    secret_keys=(bytes.fromhex("{RING_KEY.hex()}"),),
    apps=(on_xurrent(SimpleNamespace(url=shore)),) if shore else (),
    follow_ups=(FollowUp(name="act", on=("enabled",), call="vendor:act", timeout=20.0),),
))
"""
VENDOR = """
import pathlib, time
def act(transition, instance, context):
    pathlib.Path(%r).touch()
    time.sleep(2)
"""
TIDES = InstanceKey.pseudo("xurrent", "tides")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, for the sockets of the servers lie in it."""
    with tempfile.TemporaryDirectory(prefix="ik-") as made:
        (Path(made) / "vendor.py").write_text(VENDOR % f"{made}/began")
        yield Path(made)


@pytest.fixture
def inn(folder: Path) -> Iterator[Inn]:
    """A desk on embedded servers."""
    with contextlib.ExitStack() as running:
        for name in ("queue", "store"):
            started = EmbeddedServer(name=name, data=folder / "data")
            started.start()
            running.callback(started.stop)
        desk = open_desk(Config(data=folder / "data", secret_keys=(RING_KEY,)))
        running.callback(desk.close)
        yield Inn(desk)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts the workers, with the data folder of the inn."""
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    with contextlib.ExitStack() as running:

        def start_one(store: str = "", shore: str = "") -> subprocess.Popen[str]:
            started = python(RUN, folder / "data", store, shore, PYTHONPATH=path)
            return running.enter_context(started)

        yield start_one


def set_store(inn: Inn, name: str, value: str) -> None:
    """Change a setting of the running store."""
    inn.desk.store.command("CONFIG", "SET", name, value)


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"appendonly": "no"}, "appendonly yes"), ({"maxmemory_policy": "allkeys-lru"}, "noeviction")],
)
def test_workers_refuse_it(
    start: Start, settings: dict[str, str], word: str, capfd: pytest.CaptureFixture[str]
):
    """They end with 1 and the reason, within seconds, and have started nothing."""
    with server(**settings) as own:
        process = start(store=own.url)
        assert process.wait(20) == 1
    said = capfd.readouterr().err
    assert "innkeeper worker: the store cannot be trusted: " in said
    assert word in said


def test_workers_stop_while_it_is_wrong(
    start: Start, inn: Inn, folder: Path, capfd: pytest.CaptureFixture[str]
):
    """What is held is done to its end, nothing new is begun; once it is right, all goes on."""
    process = start()
    inn.deliver(states(1, OPERATES))
    assert soon((folder / "began").exists)
    set_store(inn, "maxmemory-policy", "allkeys-lru")
    assert soon(lambda: children_of(process.pid) == [])
    assert [work.state for work in inn.works()] == ["done"]
    later = InstanceKey("market", "tides", "later")
    inn.deliver(states(1, OPERATES), later)
    time.sleep(2.5)
    assert (process.poll(), children_of(process.pid), inn.names(later)) == (None, [], [])
    set_store(inn, "maxmemory-policy", "noeviction")
    assert soon(lambda: [work.state for work in inn.works(later)] == ["done"])
    process.terminate()
    assert process.wait(20) == 0
    said = capfd.readouterr().err
    assert said.count('"event":"store.untrusted"') == 1
    assert said.count('"state":"ok","event":"store.state"') == 1
    assert "worker.ended" not in said


def test_a_wiped_store_is_told_and_adopted_anew(
    start: Start, inn: Inn, folder: Path, capfd: pytest.CaptureFixture[str]
):
    """FLUSHALL under running workers: what the marketplace knows is back as `adopted`, and who
    lost secrets is listed."""
    with shores() as shore:
        shore.notes.update({number: note(number, f"c{number}") for number in range(1, 4)})
        start(shore=shore.url)
        assert soon(lambda: adopted(inn) == 3, 20)
        inn.deliver(brings(5, {"application.client_secret": "s"}, object_id=None), customer(2))
        assert soon(lambda: bool(names(inn, customer(2))[1:]))
        before = known_epoch(folder / "data")
        inn.desk.store.command("FLUSHALL")
        assert soon(lambda: adopted(inn) == 3, 20)
        assert [names(inn, customer(number)) for number in range(1, 4)] == [["adopted"]] * 3
        assert soon(lambda: ended(inn))
        drift = inn.desk.passes.states([TIDES])[0].drift
        assert drift is not None
        assert set(drift.secrets_missing) == {str(customer(number)) for number in range(1, 4)}
    now = known_epoch(folder / "data")
    assert before is not None
    assert now is not None
    assert now.before is not None
    assert (now.epoch, now.before.epoch) == (schema.epoch_of(inn.desk.store), before.epoch)
    assert capfd.readouterr().err.count('"event":"store.epoch_changed"') == 1


def customer(number: int) -> InstanceKey:
    """A customer of the app."""
    return InstanceKey("xurrent", "tides", f"c{number}")


def names(inn: Inn, key: InstanceKey) -> list[str]:
    """What happened to a customer, notices too."""
    register = inn.desk.register
    return [str(one.name) for one in (*register.transitions(key), *register.notices(key))]


def adopted(inn: Inn) -> int:
    """How many customers the register has, each adopted."""
    return sum(names(inn, customer(number))[:1] == ["adopted"] for number in range(1, 4))


def ended(inn: Inn) -> Any:
    """Whether the first full pass in this store has ended."""
    return inn.desk.passes.states([TIDES])[0].adopted
