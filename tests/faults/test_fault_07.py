"""Workers killed with -9: parent, child, what a child has forked, and all; RQ's server lost."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing

from innkeeper.bells import ANSWERS, BellName, queue_of
from innkeeper.store.connection import Store
from tests.faults.conftest import LOAD
from tests.faults.halting import Halts
from tests.faults.judging import judge
from tests.faults.troubled import (
    Troubled,
    configuration,
    installs,
    kill,
    parents,
    send,
    until_applied,
)

WITHIN_SECONDS = 30.0
"""For whatever a killed worker had in hand to be taken up again."""
BACK_WITHIN_SECONDS = 5.0
"""For all to go on once RQ's server is back."""


def test_what_a_killed_worker_held_is_taken_up(make_trial, seed):
    """In mid-batch and in mid-follow-up: by the child's successor, by the next start, and by
    another worker that still runs; SIGTERM lets one finish what it holds."""
    trial = make_trial(seed, started=False, configuration=configuration(performs=4))
    troubled, halts = Troubled(trial), Halts(trial)
    trial.open(("receiver", "console"))
    trial.launch_service("worker", halts.program)
    with trial.load(customers=24 * LOAD, steps=12, pause_seconds=0.4) as load:
        load.until(accepted=20)
        halts.ask("folded")
        kill(halts.halted("folded"))
        until_applied(trial, load, WITHIN_SECONDS)

        halts.ask("committed")
        child = halts.halted("committed")
        kill(parents()[child], child)
        trial.kill_service("worker")
        launched = [trial.launch_service("worker") for _ in range(2)]
        until_applied(trial, load, WITHIN_SECONDS)

        slow = [f"xurrent/notes/slow-{number}" for number in range(3)]
        for one in slow:
            send(load, installs(one.rpartition("/")[2]))
        horses = [troubled.until(one, "began").pid for one in slow]
        kill(horses[0], parents()[horses[1]])
        supervisor = parents()[parents()[horses[2]]]
        kill(supervisor)
        trial.fault_over()
        for one in slow:
            ended = troubled.until(one, "ended", within_seconds=WITHIN_SECONDS)
            assert {run.key for run in troubled.runs(one, "began")} == {ended.key}
        load.stop()
    settled = trial.settle(WITHIN_SECONDS)

    brief = send(load, installs("brief-0")).message.instance
    troubled.until(brief, "began")
    trial.signal_service("worker", signal.SIGTERM)
    troubled.until(brief, "ended", within_seconds=5)
    assert sorted(one.wait(20) for one in launched) == [-9, 0]
    assert len(troubled.runs(brief, "began")) == 1
    trial.launch_service("worker")
    trial.until_ready("worker")
    what = "workers killed in mid-batch and in mid-follow-up: child, grandchild, parent, all"
    judge(trial, load, fault="7", what=what, settled_seconds=settled)


def test_a_queue_server_that_is_lost_comes_back_empty(make_trial, seed):
    """Killed, with all that it held; stopped and continued; emptied; its jobs doubled: each time
    all goes on within 5 s."""
    trial = make_trial(seed)
    with trial.load(customers=20 * LOAD, steps=12, pause_seconds=0.4) as load:
        load.until(accepted=20)
        trial.queue.kill()
        time.sleep(trial.rng.uniform(3, 6))
        trial.queue.start()
        until_applied(trial, load, BACK_WITHIN_SECONDS)

        os.kill(trial.queue.pid, signal.SIGSTOP)
        time.sleep(trial.rng.uniform(3, 6))
        os.kill(trial.queue.pid, signal.SIGCONT)
        until_applied(trial, load, BACK_WITHIN_SECONDS)

        with closing(Store(trial.queue.url)) as queue:
            queue.command("FLUSHALL")
            until_applied(trial, load, BACK_WITHIN_SECONDS)
            for bell in BellName:
                for _ in range(20):
                    queue_of(bell, queue).enqueue(ANSWERS[bell])
        trial.fault_over()
        until_applied(trial, load, BACK_WITHIN_SECONDS)
        load.stop()
    settled = trial.settle(WITHIN_SECONDS)
    what = "RQ's server killed and back empty, hung, emptied, its jobs doubled"
    judge(trial, load, fault="7", what=what, settled_seconds=settled)
