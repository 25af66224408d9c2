"""The suite itself: workers that are wrong in one way each, all of which it has to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import halting, test_fault_08
from tests.faults.conftest import LOAD
from tests.faults.customers import NOTES
from tests.faults.halting import Halts
from tests.faults.history import History
from tests.faults.judging import examine
from tests.faults.load import Load
from tests.faults.trial import Trial
from tests.faults.troubled import installs, send
from tests.processes import soon

FLAWED = str(Path(__file__).with_name("flawed_workers.py"))
FOUND = {
    "drops_the_second_secret": "the register is wrong: xurrent/notes/drops_the_second_secret-0",
    "writes_beside_the_fold": "innkeeper rebuild --check",
}
"""By what the judge finds them."""
AT_ONCE = 40


def test_flawed_workers_are_found(make_trial, monkeypatch):
    """One that keeps one secret of two, one that writes what no entry says, and one that moves the
    cursor before it writes: each is found."""
    monkeypatch.setattr(halting, "__file__", FLAWED)
    trial = make_trial(1, started=False)
    program = Halts(trial).program
    trial.open(("receiver", "console"))
    load = trial.load(customers=0, steps=0)
    for flaw in FOUND:
        _launch(trial, flaw, program)
        history = History(NOTES, f"{flaw}-0", 1)
        for message in (history.says("create"), history.brings("s1", client_id="i1")):
            send(load, message)
        trial.settle()
    findings = examine(trial, load).findings
    for flaw, words in FOUND.items():
        assert [one for one in findings if one.startswith(words)], (flaw, findings)
    _loses_a_batch(trial, load, program)


@pytest.mark.skipif(LOAD == 1, reason="takes as long as fault 8 itself: part of `make faults`")
@pytest.mark.parametrize("flaw", ["ignores_the_cursor", "ignores_the_fence"])
def test_a_worker_that_does_not_look_who_was_faster_is_found(make_trial, monkeypatch, flaw):
    """Continued behind another, it has its way: fault 8 says so."""
    monkeypatch.setattr(halting, "__file__", FLAWED)
    monkeypatch.setenv("FLAW", flaw)
    with pytest.raises(AssertionError, match="'counted' == 'refused'"):
        test_fault_08.test_a_worker_that_was_stopped_changes_nothing_any_more(make_trial, 1)


def _loses_a_batch(trial: Trial, load: Load, program: tuple[str, ...]) -> None:
    """It dies with the cursor moved and nothing written: that never settles."""
    _launch(trial, "moves_the_cursor_first", program)
    for number in range(AT_ONCE):
        send(load, installs(f"moves_the_cursor_first-{number}"))
    assert soon((trial.folder / "died").exists)
    trial.kill_service("worker")
    trial.launch_service("worker")
    with pytest.raises(AssertionError):
        trial.settle(5)
    assert trial.standing()["entries"] > 0


def _launch(trial: Trial, flaw: str, program: tuple[str, ...]) -> None:
    """Flawed workers in place of those that are there."""
    trial.kill_service("worker")
    trial.launch_service("worker", program, FLAW=flaw)
    trial.until_ready("worker")
