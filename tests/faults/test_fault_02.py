"""The store killed with -9 under load, and started again."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.conftest import LOAD
from tests.faults.judging import first_answer_seconds, judge
from tests.processes import soon


def test_a_store_that_is_killed_comes_back_to_services_that_wait(make_trial, seed):
    """Nothing is lost, and all goes on within 5 s of its return, without a restart of ours."""
    trial = make_trial(seed)
    before = trial.pids("receiver"), trial.pids("worker")[0], trial.pids("console")
    with trial.load(customers=16 * LOAD, steps=10, pause_seconds=0.02) as load:
        for _ in range(LOAD):
            load.until(accepted=load.accepted + 60)
            trial.store.kill()
            time.sleep(trial.rng.uniform(0.1, 2.5))
            _tear(trial.store.folder)
            trial.store.start()
            trial.fault_over()
            assert soon(lambda: trial.store_state() == "ok", 5)
    settled = trial.settle()
    assert (trial.pids("receiver"), trial.pids("worker")[0], trial.pids("console")) == before
    assert first_answer_seconds(trial, load) < 5
    what = "the store killed under load, its file ending in mid-command"
    judge(trial, load, fault="2", what=what, settled_seconds=settled, store_away=True)


def _tear(folder: Path) -> None:
    """Leave the beginning of a command at the end of the append-only file."""
    file = next((folder / "appendonlydir").glob("*.incr.aof"))
    with file.open("ab") as end:
        end.write(b"*3\r\n$3\r\nSET\r\n$9\r\nhalf-wr")
