"""Poison and plague told apart; follow-ups that fail, refuse, hang, kill their process, and one
whose acknowledgement is lost."""

from __future__ import annotations

import base64
import itertools
import os
import time
from contextlib import closing

from innkeeper.config import Config
from innkeeper.config.sections import StoreSection
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.operations.desk import open_desk
from innkeeper.store.entry import Captured, NewEntry, new_delivery_id
from innkeeper.store.partitions import partition_of
from tests.faults.conftest import LOAD
from tests.faults.judging import judge
from tests.faults.trial import Trial
from tests.faults.troubled import Troubled, configuration, installs, send, until_applied
from tests.processes import soon
from tests.system.agreeing import figures

POISON = Event(type="nothing.known", kind=EventKind.OTHER)
"""Without the mark that a receiver would have given it, the machine refuses it."""
WITHIN_SECONDS = 30.0


def test_troubled_follow_ups_hold_up_nobody_else(make_trial, seed):
    """Each is tried again under its one key, or is a dead letter; a poisoned entry is put aside,
    and its partition goes on."""
    trial = make_trial(seed, started=False, configuration=configuration(performs=4, timeout="2s"))
    troubled = Troubled(trial)
    trial.open()
    (troubled.folder / "store.pid").write_text(str(trial.store.pid))
    with trial.load(customers=16 * LOAD, steps=8, pause_seconds=0.1) as load:
        load.until(accepted=20)
        unsettled = send(load, installs("unsettled-0")).message.instance
        troubled.until(unsettled, "ended")
        trial.store.kill()
        trial.store.start()
        poisoned = _poison(trial)
        names = ("deaf-0", "hangs-0", "dies-0", "fails-0", "refuses-0", _beside(poisoned))
        deaf, hangs, dies, fails, refuses, beside = [
            send(load, installs(name)).message.instance for name in names
        ]
        troubled.until(beside, "ended", within_seconds=10)
        for one, ends in ((deaf, 1), (hangs, 1), (dies, 1), (unsettled, 2)):
            troubled.until(one, "ended", ends, WITHIN_SECONDS)
            assert [run.attempt for run in troubled.runs(one, "began")] == [1, 2]
            assert len({run.key for run in troubled.runs(one, "began")}) == 1
        letters = {one["instance"]: one for one in trial.get("/dead_letters")}
        assert letters.keys() == {refuses, str(poisoned)}
        assert len(troubled.runs(fails, "began")) > 1
        (troubled.folder / "mended").touch()
        trial.fault_over()
        trial.told("dead-letters", "requeue", letters[refuses]["id"])
        troubled.until(refuses, "ended")
        troubled.until(fails, "ended")
    settled = trial.settle(WITHIN_SECONDS)
    what = "follow-ups that fail, refuse, hang, kill their process, lose their acknowledgement"
    judge(trial, load, fault="9", what=f"poison; {what}", settled_seconds=settled)


def test_a_plague_stops_and_makes_no_dead_letter(make_trial, seed):
    """While the workers lack a key, partitions stop and say so; with the key all goes on."""
    trial = make_trial(seed, started=False)
    keys = trial.data / "secret-keys"
    old = keys.read_text()
    trial.open(("receiver", "console"))
    trial.launch_service("worker", INNKEEPER_SECRET_KEYS=old)
    trial.until_ready("worker")
    with trial.load(customers=16 * LOAD, steps=8, pause_seconds=0.1) as load:
        load.until(accepted=20)
        keys.write_text(f"{base64.b64encode(os.urandom(32)).decode()}\n{old}\n")
        assert soon(lambda: figures(trial)["innkeeper_partitions_stopped"] > 0, 20)
        told = trial.cli("doctor")
        assert (told.code, "MissingKey" in told.out) == (1, True), told
        time.sleep(3)
        assert figures(trial)["innkeeper_dead_letters"] == 0
        trial.restart_service("worker")
        trial.fault_over()
        until_applied(trial, load, WITHIN_SECONDS)
    settled = trial.settle(WITHIN_SECONDS)
    assert trial.get("/dead_letters") == []
    judge(trial, load, fault="9", what="a key that workers lack", settled_seconds=settled)


def _poison(trial: Trial) -> InstanceKey:
    """Put an entry into the log that cannot be folded; whom it is about."""
    key = InstanceKey("xurrent", "notes", "poisoned-0")
    ring = base64.b64decode((trial.data / "secret-keys").read_text())
    store = StoreSection(url=trial.store.url)
    entry = NewEntry(
        instance=key, event=POISON, delivery=new_delivery_id(key), at=time.time(), signer="key",
        captured=Captured(body=b"{}"),
    )  # fmt: skip
    config = Config(data=trial.data, store=store, secret_keys=(ring,))
    with closing(open_desk(config)) as desk:
        desk.log.append(entry)
    return key


def _beside(poisoned: InstanceKey) -> str:
    """A customer of the same partition."""
    names = (f"beside-{number}" for number in itertools.count())
    return next(
        name for name in names
        if partition_of(InstanceKey("xurrent", "notes", name)) == partition_of(poisoned)
    )  # fmt: skip
