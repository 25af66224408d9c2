"""Trials for the tests of faults: each under a seed, ended whatever happens.

`TRIES`: how often each fault is tried (1); `SEED`: the first seed (1); `LOAD`: how many times as
much is sent (1).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.faults.trial import Trial

SEED = int(os.environ.get("SEED", "1"))
TRIES = int(os.environ.get("TRIES", "1"))
LOAD = int(os.environ.get("LOAD", "1"))
MakeTrial = Callable[..., Trial]
_trials: list[Trial] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each fault under each seed; the seed stands in the test's name."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(SEED, SEED + TRIES))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the trials as such, and give them the time that their load takes."""
    for item in items:
        if "faults" in item.path.parts:
            item.add_marker(pytest.mark.fault)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(120 + 60 * LOAD))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the logs of the trials that run when a test fails."""
    report = yield
    for trial in (trial for trial in _trials if report.failed and trial.log.exists()):
        report.sections.append((f"log of trial {trial.seed}", trial.last_words()))
    return report


@pytest.fixture
def make_trial() -> Iterator[MakeTrial]:
    """Makes trials, started unless `started=False`; arguments as for `Trial`."""
    with contextlib.ExitStack() as opened:

        def make(seed: int, *, started: bool = True, **more: Any) -> Trial:
            trial = Trial(seed, **more)
            _trials.append(trial)
            opened.callback(_trials.remove, trial)
            opened.callback(trial.end)
            if started:
                trial.open()
            return trial

        yield make
