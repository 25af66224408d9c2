"""The store away: not there, hung, slow, and cut off before its reply comes through."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from tests.faults.conftest import LOAD
from tests.faults.judging import judge
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.trial import Trial
from tests.processes import soon

AWAY_SECONDS = 2.0
SLOW_SECONDS = 0.4
TOO_SLOW_SECONDS = 3.0


def test_a_store_that_is_away_keeps_nobody_waiting(make_trial, seed):
    """Whatever is wrong with it: an answer within 5 s, deliveries go on, and all comes to it."""
    trial = make_trial(seed, started=False)
    with Proxy(trial.folder, trial.store.url) as proxy:
        trial.open(("worker", "console"))
        trial.launch_service("receiver", REDIS_URL=proxy.url)
        trial.until_ready("receiver")
        with trial.load(customers=30 * LOAD, steps=400, pause_seconds=0.2) as load:
            load.until(accepted=60)
            for _ in range(LOAD):
                # What the workers suffer too comes first: their leases run out meanwhile.
                for faults in (OF_ALL, OF_THE_RECEIVER):
                    for fault in trial.rng.sample(faults, len(faults)):
                        _suffer(trial, load, fault, proxy)
            trial.fault_over()
            time.sleep(1)
            load.stop()
        settled = trial.settle()
        assert proxy.cuts > 0
        what = "the store not there, hung, slow, too slow, cut off before its reply"
        judge(trial, load, fault="4", what=what, settled_seconds=settled, store_away=True)


def _suffer(trial: Trial, load: Load, fault, proxy: Proxy) -> None:
    """Have a fault for a while, during which deliveries are taken all the same."""
    begun = time.monotonic()
    with fault(trial, proxy):
        time.sleep(AWAY_SECONDS)
        assert load.taken_since(begun) > 0, fault.__name__
    assert soon(lambda: trial.store_state() == "ok" and not trial.spooled(), 15), fault.__name__


@contextlib.contextmanager
def not_there(trial: Trial, _: Proxy) -> Iterator[None]:
    """It has ended."""
    trial.store.kill()
    yield
    trial.store.start()


@contextlib.contextmanager
def hung(trial: Trial, _: Proxy) -> Iterator[None]:
    """It is there and says nothing."""
    os.kill(trial.store.pid, signal.SIGSTOP)
    yield
    os.kill(trial.store.pid, signal.SIGCONT)


@contextlib.contextmanager
def slow(_: Trial, proxy: Proxy) -> Iterator[None]:
    """It takes its time, as yet not too much."""
    proxy.delay_seconds = SLOW_SECONDS
    yield
    proxy.delay_seconds = 0.0


@contextlib.contextmanager
def too_slow(_: Trial, proxy: Proxy) -> Iterator[None]:
    """It takes longer than anybody waits for it."""
    proxy.delay_seconds = TOO_SLOW_SECONDS
    yield
    proxy.delay_seconds = 0.0


@contextlib.contextmanager
def cut_off(_: Trial, proxy: Proxy) -> Iterator[None]:
    """It has done what it was asked to, and nobody hears so."""
    proxy.cut = True
    yield
    proxy.cut = False


OF_ALL = (not_there, hung)
OF_THE_RECEIVER = (slow, too_slow, cut_off)
