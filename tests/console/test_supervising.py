"""Services under a supervisor: restarted, stopped in order, never left behind."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from innkeeper_console import supervising
from innkeeper_console.processes import EndedEarly, Service
from innkeeper_console.supervising import Restarts, StopSignals, supervise
from tests.processes import line_of, lives, python, soon

# A service that follows its parent, says that it runs, and notes in a file that it was stopped.
SERVING = """
import os, signal, sys, time
from innkeeper.runtime import follow_parent
follow_parent()
def stop(number, frame):
    time.sleep(0.2)
    with open(sys.argv[2], "a") as notes:
        notes.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == "deaf" else stop)
os.write(1, f"{sys.argv[1]} {os.getpid()}\\n".encode())  # in one piece
time.sleep(60)
"""

SUPERVISING = f"""
import sys
from innkeeper_console import supervising
from innkeeper_console.processes import Service
from innkeeper_console.supervising import StopSignals, supervise
def service(name):
    command = [sys.executable, "-c", {SERVING!r}, name, sys.argv[1]]
    return Service(name, command, stop_within_seconds=1)
stages = [[service(name) for name in stage.split(",")] for stage in sys.argv[2:]]
with StopSignals() as signals:
    supervise(stages, signals, say=lambda line: None, when_ready=lambda: None)
"""


def service(source: str, *arguments: object, name: str = "service", **answers) -> Service:
    """A service whose program is `source`."""
    command = [sys.executable, "-S", "-c", source, *(str(argument) for argument in arguments)]
    return Service(name, command, stop_within_seconds=1, **answers)


def pids(process, count: int) -> dict[str, int]:
    """The services' process ids, as they print them."""
    lines = [line_of(process).split() for _ in range(count)]
    return {name: int(pid) for name, pid in lines}


def fail_four_times(notes: Path) -> list[str]:
    """Delays that are announced for a service that notes the time and ends, four times."""
    said: list[str] = []
    source = "import sys, time; open(sys.argv[1], 'a').write(f'{time.time()}\\n')"
    restarts = Restarts(service(source, notes), said.append)
    restarts.child.launch()
    while len(said) < 4:
        time.sleep(restarts.look())
    return [line.partition("again in ")[2] for line in said]


def test_a_service_that_ends_is_started_again_ever_later(tmp_path):
    """Between starts of a service that always ends lie 0.2, 0.4 and 0.8 seconds."""
    assert fail_four_times(tmp_path / "notes") == ["0.2 s", "0.4 s", "0.8 s", "1.6 s"]
    starts = [float(line) for line in (tmp_path / "notes").read_text().split()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(gap > delay for gap, delay in zip(gaps, [0.2, 0.4, 0.8], strict=True))


def test_a_service_that_lived_long_is_forgiven(tmp_path, monkeypatch):
    """Whoever has lived long enough has the shortest delay again."""
    monkeypatch.setattr(supervising, "FORGIVEN_AFTER_SECONDS", 0.0)
    assert fail_four_times(tmp_path / "notes") == ["0.2 s"] * 4


def test_a_killed_service_is_back_at_once(tmp_path):
    """Under `supervise` a service that is killed with -9 runs again within a second."""
    with python(SUPERVISING, tmp_path / "notes", "worker") as supervisor:
        first = pids(supervisor, 1)["worker"]
        os.kill(first, signal.SIGKILL)
        killed_at = time.monotonic()
        second = pids(supervisor, 1)["worker"]
        assert first != second
        assert time.monotonic() - killed_at < 1
        supervisor.terminate()
        assert supervisor.wait(10) == 0
    assert not lives(second)


def test_services_are_stopped_in_order_and_waited_for(tmp_path):
    """The last stage goes first, a stage in its own order; a second signal changes nothing."""
    notes = tmp_path / "notes"
    stages = ("queue,store", "receiver,worker,console")
    with python(SUPERVISING, notes, *stages) as supervisor:
        running = pids(supervisor, 5)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            supervisor.send_signal(number)
            time.sleep(0.1)
        assert supervisor.wait(10) == 0
    assert notes.read_text().split() == ["receiver", "worker", "console", "queue", "store"]
    assert not any(lives(pid) for pid in running.values())


def test_one_that_does_not_listen_is_killed(tmp_path):
    """A service that ignores SIGTERM is killed when its time is over."""
    with python(SUPERVISING, tmp_path / "notes", "deaf") as supervisor:
        deaf = pids(supervisor, 1)["deaf"]
        supervisor.terminate()
        assert supervisor.wait(10) == 0
    assert not lives(deaf)


def test_killed_with_minus_nine_nothing_is_left(tmp_path):
    """A supervisor that is killed leaves no service behind."""
    with python(SUPERVISING, tmp_path / "notes", "receiver,worker,console") as supervisor:
        running = pids(supervisor, 3)
        supervisor.kill()
        assert soon(lambda: not any(lives(pid) for pid in running.values()))


def test_one_that_cannot_start_ends_it_all(tmp_path):
    """A service that ends before it is ready is told of, and nothing else stays."""
    good = service("import time; time.sleep(60)", name="good", answers=lambda: True)
    bad = service("raise SystemExit(3)", name="bad", answers=lambda: False)
    with StopSignals() as signals, pytest.raises(EndedEarly, match="bad: ended with exit code 3"):
        supervise([[good], [bad]], signals, say=print, when_ready=pytest.fail)
    assert not good.alive()
