"""Two workers on one partition and on one lane: one was stopped past its lease, and continued."""

from __future__ import annotations

import signal

from tests.faults.conftest import LOAD
from tests.faults.halting import Halts
from tests.faults.judging import judge
from tests.faults.troubled import family, signal_all, until_applied


def test_a_worker_that_was_stopped_changes_nothing_any_more(make_trial, seed):
    """The other takes over what it had in hand; once continued, its commit and its settling are
    refused, and nothing is doubled."""
    trial = make_trial(seed, started=False)
    halts = Halts(trial)
    trial.open(("receiver", "console"))
    stopped = trial.launch_service("worker", halts.program)
    trial.until_ready("worker")
    with trial.load(customers=20 * LOAD, steps=12, pause_seconds=0.3) as load:
        load.until(accepted=10)
        halts.ask("performed")
        halts.halted("performed")
        halts.ask("folded")
        halts.halted("folded")
        signal_all(family(stopped.pid), signal.SIGSTOP)
        trial.launch_service("worker")
        trial.fault_over()
        until_applied(trial, load, 30)
        load.stop()
    settled = trial.settle(30)
    signal_all(family(stopped.pid), signal.SIGCONT)
    assert halts.said("folded") == "refused"
    assert halts.said("performed") == "refused"
    stopped.terminate()
    assert stopped.wait(30) == 0
    what = "a worker stopped in mid-batch and in mid-follow-up, continued behind another"
    judge(trial, load, fault="8", what=what, settled_seconds=settled)
