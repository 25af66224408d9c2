"""The store wiped, or another one in its place: what the marketplaces know comes back."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator

import pytest

from innkeeper.store.connection import Store
from tests.faults.conftest import LOAD
from tests.faults.customers import NAMES
from tests.faults.reporting import Row, report
from tests.faults.trial import Trial
from tests.processes import soon
from tests.system.agreeing import (
    customers,
    differences,
    lacking,
    last_pass,
    register,
    until_quiet,
)
from tests.system.simulating import Simulator

FOLLOW_UP = f'[[follow_ups]]\nname = "note"\non = {list(NAMES)}\ncall = "acme_hooks:note"\n'


def wiped(trial: Trial) -> None:
    """All that it held is gone."""
    with contextlib.closing(Store(trial.store.url)) as store:
        store.command("FLUSHALL")


def exchanged(trial: Trial) -> None:
    """A new one is in its place."""
    trial.store.kill()
    shutil.rmtree(trial.store.folder / "appendonlydir")
    trial.store.start()


@pytest.fixture
def simulated() -> Iterator[Callable[[Trial], Simulator]]:
    """Puts marketplaces before a trial that is not started; they end with the test."""
    with contextlib.ExitStack() as ending:

        def start(trial: Trial) -> Simulator:
            simulator = Simulator(trial)
            ending.callback(simulator.end)
            options = {"seed": trial.seed, "customers": 10 * LOAD, "scale": 0.001}
            simulator.start(FOLLOW_UP, reconcile="2s", **options)
            return simulator

        yield start


def test_what_the_marketplaces_know_comes_back_and_the_rest_is_named(make_trial, simulated, seed):
    """Announced, healed by the next passes; whose secrets are gone is told, one by one."""
    lose = (wiped, exchanged)[seed % 2]
    trial = make_trial(seed, started=False)
    simulator = simulated(trial)
    trial.open()
    simulator.act(60 * LOAD)
    until_quiet(trial, 60)
    lost = customers(simulator.truth())
    assert lost
    lose(trial)
    assert soon(lambda: announced(trial) >= {"receiver", "worker"}, 10), announced(trial)
    trial.fault_over()
    last_pass(trial)
    healed = trial.settle()
    truth = simulator.truth()
    assert differences(register(trial), truth, told=False) == {}
    assert lacking(trial, truth).keys() == lost
    audit = trial.cli("audit")
    assert audit.code == 1
    assert {key for key in lost if key in audit.out} == lost
    simulator.act(20)
    last_pass(trial)
    assert differences(register(trial), simulator.truth(), told=False) == {}
    sent = simulator.deliveries()
    accepted = sum(one["outcome"] == "answered" for one in sent)
    report(
        Row(
            fault="6", what=f"the store {lose.__name__}: healed, whose secrets are gone is named",
            seed=seed, sent=len(sent), accepted=accepted, lost=0, twice=0, settled_seconds=healed,
        )
    )  # fmt: skip


def announced(trial: Trial) -> set[str]:
    """Which services have said that the store is another one."""
    lines = trial.log.read_text().splitlines()
    return {json.loads(line)["service"] for line in lines if '"store.epoch_changed"' in line}
