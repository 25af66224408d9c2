"""One delivery in a hundred dropped by the marketplaces: what their lists show of it is mended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import LOAD
from tests.faults.reporting import Row, report
from tests.processes import soon
from tests.system.agreeing import (
    SECRETS_TOKEN,
    customers,
    differences,
    lacking,
    last_pass,
    moved,
    register,
    secrets_of,
    sends,
    until_quiet,
)
from tests.system.running import Inn
from tests.system.simulating import Simulator

WHAT = "1 % of the marketplaces' deliveries dropped, and all of one who installs anew"


@pytest.fixture
def opened(seed: int) -> Iterator[tuple[Inn, Simulator]]:
    """Marketplaces, and an inn before them."""
    with contextlib.ExitStack() as ending:
        inn = Inn(INNKEEPER_SECRETS_TOKEN=SECRETS_TOKEN)
        ending.callback(inn.end)
        simulator = Simulator(inn)
        ending.callback(simulator.end)
        simulator.start("", reconcile="1h", seed=seed, customers=24, scale=0.0001)
        # Somebody is at the first pass when the workers are killed.
        simulator.trouble("xurrent", "slow", times=2, seconds=4.0)
        inn.start()
        yield inn, simulator


def test_what_the_lists_show_of_dropped_deliveries_is_mended(opened, seed):
    """Exactly those are mended whom the lists show otherwise; those whose secrets and key never
    came are named; the pass of a worker that is killed is made by the next within 30 s."""
    inn, simulator = opened
    assert inn.kill_service("worker") > 1
    killed_at = time.monotonic()
    assert not _all_passed(inn)
    simulator.act(60)
    assert soon(lambda: _all_passed(inn), killed_at + 30 - time.monotonic())
    until_quiet(inn, 60)
    simulator.rates(dropped=0.01)
    simulator.act(200 * LOAD)
    simulator.rates(dropped=0.0)
    silent = _install_in_silence(inn, simulator)
    until_quiet(inn, 60)
    before, truth = register(inn), simulator.truth()
    dropped = {named(one) for one in simulator.deliveries(outcome="dropped")}
    missed = {key for key in differences(before, truth, told=False) if sends(key)}
    assert silent in missed <= dropped
    began = time.monotonic()
    drifts = last_pass(inn)
    seconds = time.monotonic() - began
    after = register(inn)
    wrong = differences(after, truth, told=False)
    mended = {key for key in moved(before, after) if sends(key)}
    told = set[str]().union(*(one["secrets_missing"] for one in drifts.values()))
    without = {key for key in customers(truth) if not secrets_of(inn, key)}
    report(
        Row(
            fault="18", what=WHAT, seed=seed, sent=len(simulator.deliveries()),
            accepted=len(simulator.deliveries(outcome="answered")), lost=len(wrong),
            twice=len(mended - missed), settled_seconds=seconds,
        )
    )  # fmt: skip
    assert wrong == {}
    assert mended == missed
    assert silent in told
    assert told == without
    assert lacking(inn, truth).keys() <= dropped


def _all_passed(inn: Inn) -> bool:
    """Whether the first pass of every app has ended."""
    return all(app["last_pass_at"] for app in inn.get("/health")["apps"])


def _install_in_silence(inn: Inn, simulator: Simulator) -> str:
    """Have a customer remove the app and install it anew, of which no delivery comes; who it is."""
    key = min(key for key in customers(simulator.truth()) if sends(key))
    _, app, account = key.split("/")
    simulator.perform(app, account, "remove")
    until_quiet(inn, 30)  # a read that confirms the removal would see what comes after it
    simulator.rates(dropped=1.0)
    simulator.perform(app, account, "reinstall")
    simulator.rates(dropped=0.0)
    return key


def named(delivery: dict[str, str]) -> str:
    """Whom a delivery was about."""
    return f"{delivery['platform']}/{delivery['app']}/{delivery['account']}"
