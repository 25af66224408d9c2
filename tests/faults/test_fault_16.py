"""The soak: whatever can be killed is killed, at random, under a steady load.

`MINUTES` says for how long: half of one here, an hour by `make soak MINUTES=60`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.judging import judge
from tests.faults.trial import Trial
from tests.processes import soon

MINUTES = float(os.environ.get("MINUTES", "0.5"))
STEPS = 12
PER_SECOND = 25
LONGEST_AWAY_SECONDS = 3.0


@pytest.mark.timeout(300 + MINUTES * 60 * 3)
def test_a_soak_ends_balanced(make_trial, seed):
    """After all that killing, everybody is in the state that the model says, each step once."""
    trial = make_trial(seed)
    customers = 20 + int(MINUTES * 60 * PER_SECOND / STEPS)
    ends = time.monotonic() + MINUTES * 60
    with trial.load(customers, STEPS, pause_seconds=8 / PER_SECOND, repeated=0.1) as load:
        while time.monotonic() < ends:
            time.sleep(trial.rng.uniform(0.5, 1.5) * min(10.0, 1 + MINUTES))
            strike = trial.rng.choice(STRIKES)
            strike(trial)
            said = f"{time.strftime('%H:%M:%S')} {strike.__name__}, {load.accepted} accepted"
            print(said, flush=True)
        trial.fault_over()
        time.sleep(2)
        load.stop()
    settled = trial.settle(60 + MINUTES * 5)
    what = f"{MINUTES:g} minutes of random kills of every process, and stops of the store"
    judge(trial, load, fault="16", what=what, settled_seconds=settled, store_away=True)


def receiver(trial: Trial) -> None:
    """Killed and started again."""
    trial.restart_service("receiver")
    _back(trial, "receiver")


def workers(trial: Trial) -> None:
    """All of them."""
    trial.restart_service("worker")
    _back(trial, "worker")


def parent_of_workers(trial: Trial) -> None:
    """Its children end with it."""
    os.kill(trial.pids("worker")[0], signal.SIGKILL)
    assert soon(lambda: not trial.pids("worker"), 10)
    trial.launch_service("worker")
    _back(trial, "worker")


def one_worker(trial: Trial) -> None:
    """Which its parent starts again."""
    if children := trial.pids("worker")[1:]:
        _kill(trial.rng.choice(children))


def store(trial: Trial) -> None:
    """Killed and started again."""
    trial.store.kill()
    _wait(trial)
    trial.store.start()


def queue(trial: Trial) -> None:
    """All of RQ is lost: it keeps nothing."""
    trial.queue.kill()
    _wait(trial)
    trial.queue.start()


def hung_store(trial: Trial) -> None:
    """There, and silent for a while."""
    os.kill(trial.store.pid, signal.SIGSTOP)
    _wait(trial)
    os.kill(trial.store.pid, signal.SIGCONT)


STRIKES: tuple[Callable[[Trial], None], ...] = (
    receiver, workers, parent_of_workers, one_worker, store, queue, hung_store,
)  # fmt: skip


def _wait(trial: Trial) -> None:
    time.sleep(trial.rng.uniform(0.1, LONGEST_AWAY_SECONDS))


def _back(trial: Trial, name: str) -> None:
    """No service may need a hand of ours to come back but the start of its process."""
    assert soon(lambda: trial.is_ready(name), 20), name


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        print("it had ended by itself", flush=True)
