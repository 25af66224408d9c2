"""The power cut: what the store wrote and had not yet synced to disk is gone."""

from __future__ import annotations

import contextlib
import os
import shutil

import pytest

from tests.faults.conftest import LOAD
from tests.faults.fsyncs import Fsyncs
from tests.faults.judging import judge


def test_a_power_cut_takes_nothing_that_was_accepted(make_trial, seed):
    """Cut back to the last fsync that had ended, the store still has whatever was answered 2xx."""
    needs_strace()
    trial = make_trial(seed)
    with trial.load(customers=16 * LOAD, steps=10, pause_seconds=0.02) as load:
        for _ in range(LOAD):
            with contextlib.closing(Fsyncs(trial.store)) as fsyncs:
                load.until(accepted=load.accepted + 60)
                fsyncs.cut_the_power(torn=trial.rng.choice((0.0, trial.rng.random())))
            trial.store.start()
            trial.fault_over()
    settled = trial.settle()
    what = "power cut: the append-only file cut back to the last fsync"
    judge(trial, load, fault="3", what=what, settled_seconds=settled, store_away=True)


def needs_strace() -> None:
    """Skip with the reason where there is no strace, or it may not look; in CI fail."""
    if shutil.which("strace") is None or os.geteuid() != 0:
        reason = "strace, run by root, tells what has been synced to disk"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
