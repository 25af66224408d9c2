"""The suite itself: receivers that are wrong in one way each, all of which it has to find."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.customers import NOTES, Message
from tests.faults.flawed_receivers import DIES_AT
from tests.faults.forging import Forged, customer, not_entitled, with_shared_secret
from tests.faults.history import History
from tests.faults.judging import examine
from tests.faults.load import Load, Sent
from tests.faults.test_fault_12 import are_refused
from tests.faults.trial import Trial, python
from tests.faults.troubled import installs, send
from tests.processes import soon
from tests.system.marketplaces import BASIC, rebilly
from tests.system.running import PROGRAM

FLAWED = str(Path(__file__).with_name("flawed_receivers.py"))
FOUND = {
    "claims_come_first": "accepted, and then None",
    "keeps_nothing": "accepted, and then None",
    "spools_without_claims": "accepted twice",
    "drops_first": "accepted, and then None",
    "overtakes_the_spool": "the register is wrong",
}
"""By what the judge finds them."""
COUNT = 3


def test_flawed_receivers_are_found(make_trial):
    """Claims before the entry, a yes without a store, spools that forget, drop or are overtaken:
    what each does to its own customers is found; and so is who believes a stranger."""
    trial = make_trial(1, started=False)
    trial.open(("worker", "console"))
    load = trial.load(customers=0, steps=0)
    for flaw in (claims_come_first, keeps_nothing, spools_without_claims, drops_first):
        flaw(trial, load)
    overtakes_the_spool(trial, load)
    _launch(trial)
    assert soon(lambda: trial.spooled() == 0, 20)
    trial.settle()
    findings = examine(trial, load).findings
    for name, words in FOUND.items():
        assert [one for one in findings if one.startswith(words) and f"/{name}-" in one], name
    said = list(not_entitled(NOTES, customer("thief"), customer("victim")))
    _believes(trial, "takes_the_tokens_algorithm", [with_shared_secret(NOTES)])
    for own in ("thief", "victim"):
        send(load, History(NOTES, own, 1).brings("s1", key=own))
    trial.settle()
    _believes(trial, "lets_customers_say_anything", said)


def claims_come_first(trial: Trial, load: Load) -> None:
    """What is sent again after its death is told as a repetition of what is not there."""
    process = _launch(trial, "claims_come_first")
    sent = [_send_once(load, installs(f"claims_come_first-{n}")) for n in range(DIES_AT)]
    assert process.wait(20) == -9
    _launch(trial)
    assert load.again(sent[-1]).word == "duplicate"


def keeps_nothing(trial: Trial, load: Load) -> None:
    """While the store is away, all is accepted."""
    _launch(trial, "keeps_nothing")
    _in_outage(trial, load, "keeps_nothing")


def spools_without_claims(trial: Trial, load: Load) -> None:
    """In one outage each is accepted twice."""
    _launch(trial, "spools_without_claims")
    _in_outage(trial, load, "spools_without_claims", times=2)
    assert soon(lambda: trial.spooled() == 0, 20)


def drops_first(trial: Trial, load: Load) -> None:
    """It dies as soon as the store is back."""
    process = _launch(trial, "drops_first")
    _in_outage(trial, load, "drops_first")
    assert process.wait(20) == -9


def overtakes_the_spool(trial: Trial, load: Load) -> None:
    """Off and on again, of which only the order of arrival tells which is the later."""
    _launch(trial, "overtakes_the_spool")
    on, off, on_again = (_switched(n) for n in range(3))
    assert _send_once(load, on).accepted
    trial.store.kill()
    assert _send_once(load, off).accepted
    trial.store.start()
    assert soon(lambda: trial.store_state() == "ok")
    time.sleep(1.1)
    assert _send_once(load, on_again).accepted
    assert trial.spooled() == 1


def _switched(step: int) -> Message:
    """A customer on Rebilly, on or off."""
    on, organization = step % 2 == 0, "overtakes_the_spool-0"
    word, at = ("enabled", f"2026-02-01T00:00:{step:02}Z") if on else ("disabled", None)
    return Message(
        instance=f"rebilly/ledger/{organization}",
        kind="rebilly",
        path="/hooks/rebilly/ledger",
        body=lambda: rebilly("app_1", organization, word, at),
        headers=dict(BASIC),
        switches=on,
    )


def _in_outage(trial: Trial, load: Load, flaw: str, times: int = 1) -> None:
    """Some customers install while the store is away, and are all told that it was taken."""
    trial.store.kill()
    for number in range(COUNT):
        sent = _send_once(load, installs(f"{flaw}-{number}"))
        for _ in range(times - 1):
            load.again(sent)
        assert all(one.status == 202 for one in sent.attempts), sent.attempts
    trial.store.start()


def _believes(trial: Trial, flaw: str, forged: list[Forged]) -> None:
    """Fault 12 finds it."""
    _launch(trial, flaw)
    with pytest.raises(AssertionError, match="202"):
        are_refused(trial, forged)


def _send_once(load: Load, message: Message) -> Sent:
    sent = Sent(message)
    load.ledger.append(sent)
    load.again(sent)
    return sent


def _launch(trial: Trial, flaw: str | None = None) -> subprocess.Popen[bytes]:
    """Another receiver in place of the one that is there; flawed, or as it should be."""
    trial.kill_service("receiver")
    program = python("-P", FLAWED, flaw) if flaw else (str(PROGRAM),)
    process = trial.launch_service("receiver", program)
    trial.until_ready("receiver")
    return process
