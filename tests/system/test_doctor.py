"""`innkeeper doctor` beside a running `up`, and beside what is left of it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.processes import soon
from tests.system.conftest import OpenInn
from tests.system.running import Ended, Inn


@pytest.fixture(scope="module")
def inn(open_inn: OpenInn) -> Inn:
    """An inn without apps, running."""
    made = open_inn()
    made.start()
    return made


def verdicts(ended: Ended) -> dict[str, str]:
    """By check."""
    return {one["check"]: one["verdict"] for one in ended.document["checks"]}


def test_a_sound_inn(inn):
    """Nothing is wrong: exit 0. That the keys lie beside the store alone is warned of, until an
    operator says that there is a copy."""
    ended = inn.cli("doctor", "--json")
    found = verdicts(ended)
    assert ended.code == 0, ended.out
    assert {check for check, verdict in found.items() if verdict != "fine"} == {"keys, backup"}
    assert {"workers", "receiver", "console", "queue server", "store, fsync"} <= set(found)
    ended = inn.cli("doctor", "--keys-backed-up")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "all is fine")


def test_a_receiver_that_hangs(inn):
    """It is named within seconds, and the rest is fine."""
    (receiver,) = [p.pid for p in inn.processes() if "innkeeper receiver" in p.arguments]
    os.kill(receiver, signal.SIGSTOP)
    try:
        ended = inn.cli("doctor", "--json")
    finally:
        os.kill(receiver, signal.SIGCONT)
    found = verdicts(ended)
    assert (ended.code, found["receiver"], found["console"]) == (1, "wrong", "fine")


def test_an_inn_that_is_closed(inn):
    """The store does not answer: exit 1, with what to do."""
    assert inn.stop() == 0
    assert soon(lambda: not inn.processes())
    ended = inn.cli("doctor")
    assert ended.code == 1
    assert "start `innkeeper up`" in ended.out
    assert ended.out.splitlines()[-1].split(",")[0] == "5 wrong"
