"""Duplicates of every kind: each is told as one, and sets off nothing."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.faults.conftest import LOAD
from tests.faults.customers import Message
from tests.faults.judging import judge
from tests.faults.load import Attempt, Load, Sent
from tests.faults.trial import Trial
from tests.faults.troubled import installs
from tests.processes import free_port, soon
from tests.system.speaking import ask

AT_ONCE = 32


class Teller:
    """Tells of one customer again and again, and keeps the answers in the load's ledger."""

    def __init__(self, load: Load, message: Message, ports: Sequence[int]) -> None:
        self._ports = ports
        self._message = message
        self._first = message.body()
        self._origin = str(uuid.uuid4())
        # Without an origin of the load's own: here a repetition may be accepted into the spool.
        self.sent = Sent(replace(message, origin=None))
        load.ledger.append(self.sent)

    def tell(
        self,
        number: int = 0,
        *,
        anew: bool = False,
        header: str | None = None,
        of: str | None = None,
    ) -> Attempt:
        """Once more, to the number-th receiver. `anew`: signed anew; `header`: the delivery's id,
        that of the first where none is given; `of`: what it says that it is a retry of."""
        headers = {"content-type": "application/json", "x-xurrent-delivery": header or self._origin}
        if of is not None:
            headers["x-xurrent-delivery-origin"] = of
        url = f"http://127.0.0.1:{self._ports[number % len(self._ports)]}{self._message.path}"
        body, at = self._message.body() if anew else self._first, time.monotonic()
        answer = ask("POST", url, body=body, headers=headers, within_seconds=10)
        said = json.loads(answer.body)
        told = said["delivery"], said["status"]
        attempt = Attempt(at, time.monotonic() - at, answer.status, *told)
        self.sent.attempts.append(attempt)
        return attempt

    def tell_in_every_way(self) -> list[Attempt]:
        """As it was; its jti under another header; signed anew under the same header, and as a
        retry of it; signed anew under another."""
        other = str(uuid.uuid4())
        return [
            self.tell(),
            self.tell(1, header=other),
            self.tell(anew=True),
            self.tell(1, anew=True, header=other, of=self._origin),
            self.tell(anew=True, header=str(uuid.uuid4())),
        ]


def test_a_duplicate_is_told_as_one_and_changes_nothing(make_trial, seed):
    """In sequence, 32 at once at two receivers, after a restart of receivers and store, and
    before, in and behind an outage."""
    trial = make_trial(seed)
    ports = (trial.ports["receiver"], free_port())
    _launch_receiver(trial, ports[1])
    with trial.load(customers=10 * LOAD, steps=6, repeated=0.5, pause_seconds=0.05) as load:
        told = [Teller(load, installs(f"twice-{number}"), ports) for number in range(4)]
        in_turn, at_once, in_outage, across = told
        assert in_turn.tell().status == 202
        assert_known(in_turn, in_turn.tell_in_every_way())

        with ThreadPoolExecutor(AT_ONCE) as pool:
            together = threading.Barrier(AT_ONCE)
            attempts = list(
                pool.map(lambda n: (together.wait(), at_once.tell(n))[1], range(AT_ONCE))
            )
        assert Counter(one.status for one in attempts) == {202: 1, 200: AT_ONCE - 1}
        assert_known(at_once, [one for one in attempts if one.status == 200])

        assert across.tell().status == 202
        trial.kill_service("receiver")
        trial.store.kill()
        trial.store.start()
        trial.launch_service("receiver")
        trial.until_ready("receiver")
        _launch_receiver(trial, ports[1])
        for one in (in_turn, at_once, across):
            assert_known(one, one.tell_in_every_way())

        trial.store.kill()
        # Of what the store knows the spool knows nothing; what it holds itself, it knows.
        assert [across.tell(anew=True).status, across.tell(1, anew=True).status] == [202, 200]
        assert in_outage.tell().status == 202
        assert_known(in_outage, in_outage.tell_in_every_way())
        trial.store.start()
        trial.fault_over()
        assert soon(lambda: all(_stores(port) for port in ports) and trial.spooled() == 0, 10)
        time.sleep(1)  # whoever met the store away does not try it again for so long
        for one in (in_turn, at_once, in_outage):
            assert_known(one, one.tell_in_every_way())
        again = across.tell(anew=True)
        assert (again.word, again.delivery) == ("duplicate", across.sent.attempts[0].delivery)
    settled = trial.settle()
    for one in told:
        # One whose acknowledgement went with the store may run again, under its key.
        calls = trial.calls.about(one.sent.message.instance)
        set_off = {call["key"]: call["name"] for call in calls}
        assert sorted(set_off.values()) == ["enabled", "installed"]
    what = "duplicates: in turn, 32 at once, after restarts, signed anew, across an outage"
    judge(trial, load, fault="10", what=what, settled_seconds=settled)


def assert_known(teller: Teller, attempts: list[Attempt]) -> None:
    """All were told as duplicates of the one delivery."""
    first = next(one for one in teller.sent.attempts if one.status == 202)
    assert {(one.status, one.word) for one in attempts} == {(200, "duplicate")}
    assert {one.delivery for one in attempts} == {first.delivery}


def _launch_receiver(trial: Trial, port: int) -> None:
    """A second receiver of the same host, which shares its spool."""
    trial.launch_service("receiver", INNKEEPER_RECEIVER_BIND=f"127.0.0.1:{port}")
    assert soon(lambda: _stores(port), 20)


def _stores(port: int) -> bool:
    """Whether a receiver says that its store is as it should be."""
    try:
        answer = ask("GET", f"http://127.0.0.1:{port}/health/ready")
    except OSError:
        return False
    return answer.status == 200 and answer.document["store"] == "ok"
