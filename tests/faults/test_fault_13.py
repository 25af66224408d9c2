"""The clock off: by ten minutes, ours or the marketplace's, in either direction."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from innkeeper.platforms.jws import LEEWAY_SECONDS
from tests.faults.conftest import LOAD
from tests.faults.customers import NOTES, Message
from tests.faults.forging import traces
from tests.faults.history import History
from tests.faults.judging import judge
from tests.faults.load import Attempt, Load, Sent
from tests.faults.trial import Trial, python
from tests.faults.troubled import send
from tests.processes import soon
from tests.system.speaking import ask
from tests.tokens import decode, sign

SHIFTED = str(Path(__file__).with_name("shifted.py"))
MOST_SECONDS = 600
UNSURE_SECONDS = 8
"""Nearer to the bound than this nobody tells, since the test itself takes its time."""
SAMPLES = 31
"""So many tokens tell what the clock is."""
REFUSED = 4


def test_a_clock_that_is_off_is_named_and_costs_nothing(make_trial, seed):
    """Ours ahead or behind: what is refused for it is let in once it is set; theirs: beyond the
    leeway 401, and nothing is stored. Figures and doctor say by how much."""
    trial = make_trial(seed, started=False)
    trial.open(("worker", "console"))
    _launch(trial, MOST_SECONDS)
    with trial.load(customers=10 * LOAD, steps=6, pause_seconds=0.01) as load:
        pass
    trial.settle()
    _is_named(trial, MOST_SECONDS)
    _restart(trial, -MOST_SECONDS)
    refused = _refused(trial, load)
    _is_named(trial, -MOST_SECONDS)
    _restart(trial, 0)
    trial.fault_over()
    _let_in(trial, refused)
    whole = range(-MOST_SECONDS, MOST_SECONDS + 1)
    for off in (-MOST_SECONDS, MOST_SECONDS, *trial.rng.sample(whole, 4 * LOAD)):
        _senders_are_off(trial, load, off)
    settled = trial.settle()
    what = "the clock off by −10 to +10 minutes, the receiver's or the senders'"
    judge(trial, load, fault="13", what=what, settled_seconds=settled)


def _refused(trial: Trial, load: Load) -> list[Sent]:
    """What comes from the future is not taken, and nothing of it is stored."""
    before = traces(trial)
    sent = []
    for number in range(REFUSED):
        history = History(NOTES, f"early-{number}", 1)
        for message in (history.says("create"), history.brings("s1"), history.says(suspended=True)):
            assert trial.hook(message.path.removeprefix("/hooks/"), message.body()).status == 401
            sent.append(Sent(message))
            load.ledger.append(sent[-1])
    assert traces(trial) == before
    return sent


def _let_in(trial: Trial, refused: list[Sent]) -> None:
    """Whatever was refused for the clock alone, in the order in which it came."""
    reason = ("--reason", "not_yet_valid")
    assert soon(lambda: len(trial.told("rejected", "list", *reason)) == len(refused))
    results = trial.told("rejected", "retry", *reason)
    for sent, result in zip(refused, results, strict=True):
        assert result["status"] == "accepted", result
        sent.attempts.append(Attempt(time.monotonic(), 0.0, 202, result["delivery"], "accepted"))
    assert trial.told("rejected", "list", *reason) == []


def _senders_are_off(trial: Trial, load: Load, off: int) -> None:
    """Tokens as of a clock that is `off` seconds ahead; some of them expire in five minutes."""
    if any(abs(off - bound) < UNSURE_SECONDS for bound in (LEEWAY_SECONDS, -360)):
        return
    history = History(NOTES, f"off-by-{off}", 1)
    ahead = off > LEEWAY_SECONDS
    before = traces(trial)
    for step in range(SAMPLES):
        message = history.says()
        late = step % 3 == 0
        shifted = _shifted(message, off + step / 1000, expires=late)
        if ahead or (late and off < -360):
            status = trial.hook(message.path.removeprefix("/hooks/"), shifted.body()).status
            assert status == 401, (off, late)
        else:
            send(load, shifted)
    if ahead:
        assert traces(trial) == before, off
    assert abs(_skew(trial) + off) < UNSURE_SECONDS, off


def _shifted(message: Message, off: float, *, expires: bool) -> Message:
    """The same message, signed by a clock that is off."""

    def body() -> bytes:
        token = json.loads(message.body())["jwt"]
        claims = json.loads(decode(token.split(".")[1]))
        now = time.time() + off
        claims |= {"iat": now, "nbf": now, "jti": uuid.uuid4().hex}
        if expires:
            claims["exp"] = now + 300
        provider = NOTES.provider
        return json.dumps({"jwt": sign(claims, provider.algorithm, provider.key)}).encode()

    return replace(message, body=body)


def _is_named(trial: Trial, ahead: int) -> None:
    """By the figures, and by doctor, who is not content."""
    assert abs(_skew(trial) - ahead) < UNSURE_SECONDS
    told = trial.cli("doctor", "--json")
    found = [one for one in told.document["checks"] if one["check"].startswith("clock, xurrent")]
    assert (told.code, len(found)) == (1, 1), told
    way = "ahead of" if ahead > 0 else "behind"
    assert way in str(found), found


def _skew(trial: Trial) -> float:
    url = f"http://127.0.0.1:{trial.ports['receiver']}/metrics"
    text = ask("GET", url).body.decode()
    return next(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "innkeeper_clock_skew_seconds"
    )


def _launch(trial: Trial, ahead: int) -> None:
    """A receiver whose clock is so many seconds ahead."""
    trial.launch_service("receiver", program=python("-P", SHIFTED, str(ahead)))
    trial.until_ready("receiver")


def _restart(trial: Trial, ahead: int) -> None:
    trial.kill_service("receiver")
    _launch(trial, ahead)
