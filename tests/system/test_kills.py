"""Killed with -9 in a burst: nothing is lost, no state moves twice, and it goes on by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.processes import soon
from tests.system.calls import Calls
from tests.system.conftest import OpenInn
from tests.system.marketplaces import Account, Offering, curve_key, xurrent_app
from tests.system.running import Inn
from tests.system.speaking import Sender

PROVIDER = Account(name="quay", domain="xurrent.invalid", algorithm="ES256", key=curve_key("quay"))
NOTES = Offering(provider=PROVIDER, reference="notes")
FOLLOW_UP = (
    '[[follow_ups]]\nname = "note"\non = ["enabled", "suspended", "resumed"]\n'
    'call = "acme_hooks:note"\n'
)
SENDERS, EACH, PAUSE_SECONDS = 5, 10, 0.04


class Burst:
    """Customers who install and are then suspended and resumed in turn; each change is waited for.

    `SENDERS` senders, with as many customers of their own each as `customers` says.
    """

    def __init__(self, inn: Inn, name: str, customers: int) -> None:
        self.inn = inn
        self.groups = [
            [f"{name}-{sender}-{number}" for number in range(customers)]
            for sender in range(SENDERS)
        ]
        self.deliveries: dict[str, list[str]] = {}
        self.sent = 0
        self._lock = threading.Lock()

    @property
    def customers(self) -> list[str]:
        """All of them."""
        return [customer for group in self.groups for customer in group]

    def run(self, meanwhile: Callable[[Burst], None]) -> None:
        """Send it all, and do something beside it."""
        with ThreadPoolExecutor(SENDERS) as pool:
            sending = [pool.submit(self._send, group) for group in self.groups]
            meanwhile(self)
            for one in sending:
                one.result()

    def until_sent(self, count: int) -> None:
        """Wait until so many deliveries were taken."""
        assert soon(lambda: self.sent >= count, 60)

    def _send(self, group: list[str]) -> None:
        with closing(Sender(self.inn.url_of_hook("xurrent/notes"))) as sender:
            for number in range(1, EACH + 1):
                for customer in group:
                    body = NOTES.update(customer, number, suspended=number % 2 == 0)
                    if number == 1:
                        body = NOTES.create(customer, 1)
                    answer = sender.send(body)
                    assert answer.status in (200, 202), answer
                    with self._lock:
                        self.deliveries.setdefault(customer, []).append(answer.delivery)
                        self.sent += 1
                    time.sleep(PAUSE_SECONDS)


EXPECTED = ["installed", "enabled", *["suspended", "resumed"] * (EACH // 2)][: EACH + 1]


@pytest.fixture(scope="module")
def inn(open_inn: OpenInn) -> Inn:
    """An inn whose vendor's function notes each call."""
    inn = open_inn(xurrent_app(PROVIDER, "notes") + FOLLOW_UP)
    inn.environment["ACME_CALLS"] = str(inn.folder / "calls.jsonl")
    inn.start()
    return inn


def settled(inn: Inn, burst: Burst, within_seconds: float) -> None:
    """Wait until every follow-up of a burst was called for."""
    calls, expected = Calls(inn.folder / "calls.jsonl"), len(burst.customers) * EACH

    def done() -> bool:
        mine = set(burst.customers)
        keys = {call["key"] for call in calls.all() if call["instance"].split("/")[2] in mine}
        return len(keys) >= expected

    assert soon(done, within_seconds), f"{len(calls.all())} calls of {expected}"


def check(inn: Inn, burst: Burst) -> None:
    """Every delivery has its effect, once, in its order; and each follow-up its one key."""
    calls = Calls(inn.folder / "calls.jsonl").all()
    assert len(burst.deliveries) == len(burst.customers)
    for customer, deliveries in burst.deliveries.items():
        steps = inn.get(f"/app_instances/xurrent/notes/{customer}/transitions")
        assert [one["name"] for one in steps] == EXPECTED
        assert [one["delivery"] for one in steps[1:]] == deliveries
        assert len({one["id"] for one in steps}) == len(steps)
        called = [call for call in calls if call["instance"] == f"xurrent/notes/{customer}"]
        keys = {call["key"]: call["transition"] for call in called}
        assert list(keys.values()) == [one["id"] for one in steps[1:]]
    assert inn.get("/dead_letters") == []
    assert inn.get("/deliveries?outcome=waiting&per_page=1") == []


def test_killed_workers(inn):
    """Every worker process killed, three times, in a burst of 500: on again within 30 s."""

    def kill(burst: Burst) -> None:
        for count in (100, 220, 340):
            burst.until_sent(count)
            # The parent and its children, the last killing's successors.
            assert soon(lambda: len(inn.processes("innkeeper worker ")) >= 4, 20)
            assert inn.kill_service("worker") >= 4

    burst = Burst(inn, "worker", customers=10)
    burst.run(kill)
    assert burst.sent == 500
    settled(inn, burst, within_seconds=30)
    check(inn, burst)


def test_a_killed_receiver(inn):
    """The receiver killed in a burst: what was answered 202 has its effect, what was not is sent
    again and counts once.
    """

    def kill(burst: Burst) -> None:
        for count in (60, 130):
            burst.until_sent(count)
            assert soon(lambda: inn.kill_service("receiver") == 1, 20)

    burst = Burst(inn, "receiver", customers=4)
    burst.run(kill)
    assert burst.sent == 200
    settled(inn, burst, within_seconds=30)
    check(inn, burst)
