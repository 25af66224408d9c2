"""The store full, its disk full; and stores that throw away what they hold."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from innkeeper.store.connection import Store
from tests.faults.conftest import LOAD
from tests.faults.judging import judge
from tests.faults.load import Load
from tests.faults.reporting import Row, report
from tests.processes import soon

SPOOL = '[receiver]\nspool_bytes = "128KiB"\n'
DISK_BYTES = 640 << 10


def test_a_full_store_fills_the_spool_and_then_asks_to_wait(make_trial, seed):
    """Full: into the spool; that full, too: 503 and when to come again; emptied: all is there."""
    trial = make_trial(seed, configuration=SPOOL)
    with trial.load(customers=30 * LOAD, steps=400, pause_seconds=0.01) as load:
        load.until(accepted=60)
        with contextlib.closing(Store(trial.store.url)) as store:
            used = store.command("INFO", "memory")["used_memory"]
            store.command("CONFIG", "SET", "maxmemory", used + (1 << 16))
            assert soon(lambda: _turned_away(load) > 20, 60)
            assert trial.spooled() > 0
            store.command("CONFIG", "SET", "maxmemory", 0)
        trial.fault_over()
        time.sleep(1)
        load.stop()
    settled = trial.settle(60)
    what = "the store full (noeviction), then the spool"
    judge(trial, load, fault="5", what=what, settled_seconds=settled, store_away=True)


def test_a_full_disk_loses_nothing(make_trial, seed):
    """The append-only file finds no room: deliveries are spooled until the store has some again."""
    trial = make_trial(seed, started=False)
    with small_disk(trial.store.folder) as grow:
        trial.open()
        with trial.load(customers=30 * LOAD, steps=400, pause_seconds=0.02) as load:
            assert soon(lambda: trial.store_state() != "ok", 60)
            begun = time.monotonic()
            time.sleep(1)
            assert load.taken_since(begun) > 0
            grow()
            # With fsync before each answer the server ends when it cannot write.
            trial.store.kill()
            trial.store.start()
            trial.fault_over()
            time.sleep(1)
            load.stop()
        settled = trial.settle(60)
        what = "the disk of the append-only file full"
        judge(trial, load, fault="5", what=what, settled_seconds=settled, store_away=True)
        trial.end()


UNTRUSTWORTHY = (
    ("maxmemory_policy", "allkeys-lru"),
    ("maxmemory_policy", "volatile-ttl"),
    ("appendonly", "no"),
    ("appendfsync", "everysec"),
)


def test_no_service_starts_on_a_store_that_may_lose_what_it_holds(make_trial, seed):
    """Receiver and workers end at once and say what is wrong and what to set."""
    started = {}
    for setting, value in UNTRUSTWORTHY:
        trial = make_trial(seed, started=False, store_settings={setting: value})
        trial.store.start()
        trial.queue.start()
        services = [trial.launch_service(name) for name in ("receiver", "worker")]
        started[setting.replace("_", "-"), trial] = services
    for (setting, trial), services in started.items():
        assert [one.wait(30) for one in services] == [1, 1]
        lines = trial.log.read_text().splitlines()
        said = [line for line in lines if line.startswith("innkeeper ")]
        assert len(said) == 2, lines
        assert all(setting in line for line in said), said
    what = "start on an evicting store, or on one that does not sync: refused"
    report(Row(fault="5", what=what, seed=seed, sent=0, accepted=0, lost=0, twice=0))


def _turned_away(load: Load) -> int:
    return sum(one.status == 503 for sent in list(load.ledger) for one in list(sent.attempts))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], object]]:
    """A small file system at `folder`, and what makes it large; ended with its block."""
    if os.geteuid() != 0:
        reason = "only root can mount a small file system"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    options = ["-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    subprocess.run(["mount", "-t", "tmpfs", *options], check=True)
    try:
        yield lambda: subprocess.run(
            ["mount", "-o", f"remount,size={256 << 20}", str(folder)], check=True
        )
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
