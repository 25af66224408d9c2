"""The receiver killed with -9 at every point of a delivery's way through it."""

from __future__ import annotations

from pathlib import Path

from tests.faults.conftest import LOAD
from tests.faults.judging import judge
from tests.faults.trial import python

DYING = Path(__file__).with_name("dying.py")
POINTS = ("unread", "verified", "stored", "answered")


def test_a_receiver_that_dies_loses_and_doubles_nothing(make_trial, seed):
    """Killed before it reads, verified, stored or answered: what it answered 202 has its effect."""
    trial = make_trial(seed, started=False)
    trial.open(("worker", "console"))
    points = list(POINTS) * LOAD
    trial.rng.shuffle(points)
    with trial.load(customers=20 * LOAD, steps=10, pause_seconds=0.05) as load:
        for point in points:
            count = str(trial.rng.randint(1, 12))
            program = python("-P", str(DYING), point, count)
            assert trial.launch_service("receiver", program).wait(60) == -9
        trial.fault_over()
        trial.launch_service("receiver")
        trial.until_ready("receiver")
    settled = trial.settle()
    what = "the receiver killed: body unread, verified, stored, answered"
    judge(trial, load, fault="1", what=what, settled_seconds=settled)
