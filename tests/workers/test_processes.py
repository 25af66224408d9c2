"""The worker processes as they run, killed and stopped in the middle of their work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from innkeeper.bells import BellName
from innkeeper.config import Config
from innkeeper.lifecycle.events import Event, InstanceKey
from innkeeper.lifecycle.machine import fold
from innkeeper.operations.desk import open_desk
from innkeeper_console.embedded import EmbeddedServer
from tests.conftest import KEY as RING_KEY
from tests.lifecycle.telling import DISABLED, OPERATES, SUSPENDED, arrival, digest, states
from tests.processes import python, soon
from tests.standing import open_work, standing_of
from tests.workers.conftest import Inn

FOLLOWED = ("enabled", "suspended", "resumed", "disabled")
SLOW = "slow"

RUN = """
import sys
from pathlib import Path
from innkeeper.config import Config, FollowUp
from innkeeper_workers.supervisor import run
run(Config(
    data=Path(sys.argv[1]), secret_keys=(bytes.fromhex("%s"),),
    follow_ups=(FollowUp(name="act", on=%r, call="vendor:act", timeout=20.0),),
))
"""

VENDOR = """
import os, time
def act(transition, instance, context):
    note("began", transition, instance, context)
    if instance.id.endswith("/slow"):
        time.sleep(1.5)
    note("ended", transition, instance, context)

def note(word, transition, instance, context):
    line = [word, context.idempotency_key, transition.id, transition.name, instance.id, os.getpid()]
    log = os.open(%r, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, (" ".join(map(str, line)) + "\\n").encode())
    os.close(log)
"""


class Called(NamedTuple):
    """A line of what the vendor's function has noted."""

    word: str
    key: str
    transition: str
    name: str
    instance: str
    pid: int


class House(Inn):
    """Servers of its own, the worker processes, and what was delivered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.servers = {
            "store": EmbeddedServer(name="store", data=self.data),
            "queue": EmbeddedServer(name="queue", data=self.data, durability="memory"),
        }
        self.running = contextlib.ExitStack()
        for server in self.servers.values():
            server.start()
            self.running.callback(server.stop)
        super().__init__(open_desk(Config(data=self.data, secret_keys=(RING_KEY,))))
        self.running.callback(self.desk.close)
        self.posted: dict[InstanceKey, list[Event]] = defaultdict(list)
        self.log = folder / "calls"
        (folder / "vendor.py").write_text(VENDOR % str(self.log))

    def start(self) -> subprocess.Popen[str]:
        """The supervisor, and with it the workers."""
        path = os.pathsep.join([str(self.folder), *filter(None, sys.path)])
        source = RUN % (RING_KEY.hex(), FOLLOWED)
        started = python(source, self.data, PYTHONPATH=path)
        process = self.running.enter_context(started)
        self.running.callback(lambda: soon(lambda: not self.pids()))
        self.running.callback(process.kill)
        assert soon(lambda: len(children_of(process.pid)) >= 4)
        return process

    def pids(self) -> list[int]:
        """Every process of the workers, their children too."""
        return [pid for pid, _, told in processes() if "-c" in told and str(self.data) in told]

    def burst(self, count: int, *accounts: str) -> None:
        """So many deliveries, in turn of these accounts, each with another status than before."""
        keys = [InstanceKey("market", "tides", account) for account in accounts]
        for number in range(count):
            key = keys[number % len(keys)]
            order = len(self.posted[key])
            flags = (OPERATES, SUSPENDED, DISABLED)[order % 3]
            event = states(order, flags)
            self.deliver(event, key)
            self.posted[key].append(event)
        self.desk.bells[BellName.APPLY].ring()

    def calls(self) -> list[Called]:
        """What the vendor's function has noted."""
        if not self.log.exists():
            return []
        told = [line.split() for line in self.log.read_text().splitlines()]
        return [Called(w, k, t, n, i, int(pid)) for w, k, t, n, i, pid in told]

    def is_done(self) -> bool:
        """Whether all is folded, and nothing is left to be done."""
        behind = any(probe.behind for probe in self.desk.outbox.probe())
        return not behind and open_work(self.desk.store) == 0

    def check(self) -> None:
        """The register equals a fold of what was posted; each follow-up was set off once."""
        expected: Counter[str] = Counter()
        for key, events in self.posted.items():
            instance, names = None, []
            for number, event in enumerate(events):
                folded = fold(instance, key, event, arrival(number), digest)
                instance = folded.instance
                names += [step.name for step in folded.happenings]
            line = self.desk.register.line(key)
            assert line is not None
            assert instance is not None
            assert self.names(key) == names
            assert (line.instance.status, line.instance.version, line.instance.transitions) == (
                instance.status, instance.version, instance.transitions,
            )  # fmt: skip
            expected.update(name for name in names if name in FOLLOWED)
        ended = {(call.key, call.transition, call.name) for call in self.calls()
                 if call.word == "ended"}  # fmt: skip
        assert Counter(name for _, _, name in ended) == expected
        assert len({key for key, _, _ in ended}) == len(ended) == expected.total()
        counts = standing_of(self.desk.store).counts
        posted = sum(map(len, self.posted.values()))
        assert (counts["accepted"], counts["applied"], counts["dead"]) == (posted, posted, 0)
        assert self.desk.dead_letters.count() == 0


def processes() -> list[tuple[int, int, str]]:
    """All that run: process id, parent's id, command line."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    split = [line.split(maxsplit=3) for line in listed]
    return [(int(p), int(q), rest[0]) for p, q, stat, *rest in split if stat[0] != "Z" and rest]


def children_of(pid: int) -> list[int]:
    """The process ids of a process's children."""
    return [child for child, parent, _ in processes() if parent == pid]


def kill_all(pids: list[int]) -> None:
    """Without a word."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def house() -> Iterator[House]:
    """Servers in a folder with a short name; all that was started is ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="ik-") as folder:
        house = House(Path(folder))
        with house.running:
            yield house


def test_killed_in_a_burst_nothing_is_lost_or_doubled(house: House):
    """kill -9 of every worker three times, of a child in mid-follow-up and of the supervisor, while
    900 deliveries come in; all is done within 30 s of the last kill."""
    supervisor = house.start()
    accounts = [f"c{number}" for number in range(30)]
    for _ in range(3):
        house.burst(150, *accounts)
        kill_all(children_of(supervisor.pid))
        house.burst(150, *accounts)
        assert soon(lambda: len(children_of(supervisor.pid)) >= 4, 15)
    house.burst(1, SLOW)
    assert soon(lambda: any(call.instance.endswith(SLOW) for call in house.calls()), 30)
    slow = next(call for call in house.calls() if call.instance.endswith(SLOW))
    kill_all([slow.pid])
    supervisor.kill()
    supervisor.wait()
    killed_at = time.monotonic()
    house.start()
    assert soon(house.is_done, 30)
    assert time.monotonic() - killed_at < 30
    house.check()
    of_slow = [call for call in house.calls() if call.key == slow.key]
    assert [call.word for call in of_slow] == ["began", "began", "ended"]


def test_a_signal_lets_the_workers_finish(house: House):
    """SIGTERM, and once more: what is held is done to its end, nothing new is begun, exit 0."""
    supervisor = house.start()
    house.burst(1, SLOW)
    assert soon(lambda: bool(house.calls()))
    for _ in range(2):
        supervisor.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert supervisor.wait(20) == 0
    assert [call.word for call in house.calls()] == ["began", "ended"]
    assert house.works(InstanceKey("market", "tides", SLOW))[0].state == "done"
    assert house.pids() == []


def test_the_supervisor_takes_its_workers_along(house: House):
    """Killed without a word, it leaves no process of its own behind, nor a worker's child."""
    supervisor = house.start()
    house.burst(1, SLOW)
    assert soon(lambda: bool(house.calls()))
    supervisor.kill()
    supervisor.wait()
    assert soon(lambda: not house.pids())


def test_a_queue_server_that_returns_is_taken_into_use(house: House):
    """Killed and away for seconds, it loses every bell; within 5 s of its return all is done."""
    supervisor = house.start()
    queue = house.servers["queue"]
    house.burst(20, "c1", "c2")
    kill_all([int((house.data / "queue" / "server.pid").read_text())])
    assert soon(lambda: not queue.alive())
    house.burst(40, "c1", "c2", "c3")
    time.sleep(9)  # long enough for RQ's own pauses to have grown
    queue.start()
    assert soon(house.is_done, 5)
    house.check()
    assert supervisor.poll() is None


def test_an_emptied_queue_server_loses_nothing(house: House):
    """FLUSHALL in the middle of bursts: the sweep rings again."""
    house.start()
    for number in range(5):
        house.burst(40, f"c{number}", "c9")
        house.desk.queue.command("FLUSHALL")
        time.sleep(0.1)
    assert soon(house.is_done, 15)
    house.check()


def test_a_store_that_returns_is_taken_into_use(house: House):
    """Killed and started again under the workers: they go on without a restart."""
    supervisor = house.start()
    store = house.servers["store"]
    house.burst(30, "c1", "c2")
    kill_all([int((house.data / "store" / "server.pid").read_text())])
    assert soon(lambda: not store.alive())
    time.sleep(1)
    store.start()
    house.burst(30, "c1", "c2")
    # A follow-up that ran when the store went is under its lease for 15 s.
    assert soon(house.is_done, 25)
    house.check()
    assert supervisor.poll() is None
