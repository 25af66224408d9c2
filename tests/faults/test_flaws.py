"""The suite itself: services with planted flaws, each of which the judge has to find."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.faults.conftest import LOAD
from tests.faults.fsyncs import Fsyncs
from tests.faults.judging import examine
from tests.faults.test_fault_03 import needs_strace
from tests.faults.trial import python

FLAWED = str(Path(__file__).with_name("flawed.py"))
FLAWS = {
    "knows_no_claims": ("receiver", "accepted twice"),
    "trusts_the_order": ("worker", "the register is wrong"),
    "settles_first": ("worker", "never set off"),
    "makes_new_keys": ("worker", "set off more than once"),
}
CUSTOMERS = {"trusts_the_order": 24}
long = pytest.mark.skipif(LOAD == 1, reason="a trial each: part of `make faults`")


@long
@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_found(make_trial, flaw):
    """A service that forgets claims, trusts the order, settles first or works twice is found."""
    service, finding = FLAWS[flaw]
    trial = make_trial(1, started=False)
    trial.open([name for name in ("receiver", "worker", "console") if name != service])
    trial.launch_service(service, program=python("-P", FLAWED, flaw))
    trial.until_ready(service)
    with trial.load(customers=CUSTOMERS.get(flaw, 8), steps=8, repeated=0.2) as load:
        assert not load.stopped
    trial.settle()
    assert any(one.startswith(finding) for one in examine(trial, load).findings)


def test_an_acknowledgement_before_the_store_is_found(make_trial):
    """A receiver that answers first and stores then, killed, has lost what it accepted."""
    trial = make_trial(1, started=False)
    trial.open(("worker", "console"))
    trial.launch_service("receiver", program=python("-P", FLAWED, "answers_first"))
    trial.until_ready("receiver")
    with trial.load(customers=12, steps=8, pause_seconds=0.01) as load:
        load.until(accepted=30)
        trial.restart_service("receiver")
    trial.settle()
    found = examine(trial, load)
    assert found.lost > 0
    assert any(one.startswith("accepted, and then None") for one in found.findings)


@long
def test_a_store_that_syncs_late_is_found(make_trial):
    """With an fsync a second, the power cut of fault 3 takes accepted deliveries with it."""
    needs_strace()
    settings = {"appendfsync": "everysec"}
    trial = make_trial(1, durability="everysec", store_settings=settings)
    with trial.load(customers=12, steps=40, pause_seconds=0.01) as load:
        with contextlib.closing(Fsyncs(trial.store)) as fsyncs:
            load.until(accepted=60)
            load.stop()
            assert fsyncs.cut_the_power() > 0
        trial.store.start()
    trial.settle()
    assert examine(trial, load, store_away=True).lost > 0
