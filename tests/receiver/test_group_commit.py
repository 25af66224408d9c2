"""Group commit: what waits together is stored together, and nothing is answered before it is."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from innkeeper.config import StoreSection
from innkeeper.operations.desk import Desk
from innkeeper.store.connection import Store
from innkeeper.store.keys import keys_of
from innkeeper.store.log import CLAIM_PERIOD_SECONDS
from innkeeper.store.partitions import partition_of
from tests.deliveries import PATH, delivery, instance, lifecycle
from tests.processes import soon
from tests.receiver.conftest import Start
from tests.receiver.running import Running
from tests.store.servers import Server, server

GATHERING_SECONDS = 0.6
"""In which two hundred requests are verified; the receiver waits 1.5 s for the store."""


@pytest.fixture
def own() -> Iterator[Server]:
    """A store that may be stopped, killed and filled."""
    with server() as running:
        yield running


@pytest.fixture
def receiver(start: Start, own: Server) -> Running:
    """A receiver before that store, its scripts loaded."""
    running = start(store=StoreSection(url=own.url))
    assert running.post(PATH, delivery(lifecycle(customer="first"))).status == 202
    return running


@pytest.fixture
def store_of(own: Server) -> Iterator[Store]:
    """The same store, for looking."""
    with contextlib.closing(Store(own.url)) as store:
        yield store


def stored(store: Store, customer: str) -> int:
    """How many entries a customer's partition holds."""
    return int(store.command("XLEN", keys_of(partition_of(instance(customer))).log))


def test_requests_that_wait_share_round_trips(receiver: Running, own: Server, store_of: Store):
    """Two hundred that come while the store is slow need no more than three calls."""
    bodies = [delivery(lifecycle(audit=number)) for number in range(200)]
    store_of.command("CONFIG", "RESETSTAT")
    with own.hung():
        answers = receiver.send_at_once(PATH, bodies)
        time.sleep(GATHERING_SECONDS)
    told = answers()
    assert Counter({202: 200}) == Counter(answer.status for answer in told)
    assert len({answer.json["delivery"] for answer in told}) == 200
    calls = store_of.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
    assert calls <= 3
    assert stored(store_of, "lighthouse") == 200


def test_two_hundred_customers_at_once(receiver: Running, store_of: Store):
    """They lie in all partitions; each is accepted and stored in its own."""
    customers = [f"c{number}" for number in range(200)]
    answers = receiver.post_at_once(PATH, [delivery(lifecycle(customer=c)) for c in customers])
    assert Counter({202: 200}) == Counter(answer.status for answer in answers)
    assert all(stored(store_of, customer) for customer in customers)


def test_while_the_store_hangs_nothing_is_accepted(receiver: Running, own: Server, store_of: Store):
    """503 with Retry-After within 5 s; the retry finds what had been stored after all."""
    body, started = delivery(lifecycle()), time.monotonic()
    with own.hung():
        answers = receiver.post_at_once(PATH, [body] * 20)
        assert time.monotonic() - started < 5
        assert receiver.ask("GET", "/health/live").status == 200
    assert [answer.status for answer in answers] == [503] * 20
    assert {"5"} == {answer.headers["retry-after"] for answer in answers}
    assert {"application/problem+json"} == {a.headers["content-type"] for a in answers}
    assert soon(lambda: receiver.post(PATH, body).status in (200, 202), 5)
    first, second = (receiver.post(PATH, body) for _ in range(2))
    assert first.status == 200
    assert (200, first.json["delivery"]) == (second.status, second.json["delivery"])
    assert stored(store_of, "lighthouse") == 1


def test_while_the_store_is_gone_nothing_is_accepted(receiver: Running, own: Server):
    """503 at once, and 202 within 5 s of its return; the receiver stays as it is."""
    body = delivery(lifecycle())
    own.kill()
    started = time.monotonic()
    assert receiver.post(PATH, body).status == 503
    assert time.monotonic() - started < 5
    own.start()
    assert soon(lambda: receiver.post(PATH, body).status in (200, 202), 5)


def test_a_full_store_takes_nothing(receiver: Running, store_of: Store):
    """503 while the store is out of memory, 202 for the same delivery once it is not."""
    body = delivery(lifecycle())
    store_of.command("CONFIG", "SET", "maxmemory", 1)
    assert receiver.post(PATH, body).status == 503
    store_of.command("CONFIG", "SET", "maxmemory", 0)
    assert receiver.post(PATH, body).status == 202


def test_a_client_that_goes_away_stores_all_the_same(
    receiver: Running, own: Server, store_of: Store
):
    """What was read and proven is stored, whether anybody waits for the answer or not."""
    body = delivery(lifecycle())
    with own.hung():
        for connection in [receiver.connected() for _ in range(3)]:
            with connection as sending:
                sending.sendall(
                    b"POST %s HTTP/1.1\r\nHost: inn\r\nContent-Length: %d\r\n\r\n%s"
                    % (PATH.encode(), len(body), body)
                )
                time.sleep(0.1)
    assert soon(lambda: stored(store_of, "lighthouse") == 1)
    assert receiver.post(PATH, body).status == 200


def test_a_broken_partition_breaks_no_other(receiver: Running, own: Server, store_of: Store):
    """In one flush: 503 for the deliveries of the partition that fails, 202 for all others."""
    broken = keys_of(partition_of(instance("bad"))).log
    store_of.command("SET", broken, "no stream")
    customers = ["bad", "one", "two", "bad", "three"]
    with own.hung():
        answers = receiver.send_at_once(PATH, [delivery(lifecycle(customer=c)) for c in customers])
        time.sleep(0.3)
    assert [answer.status for answer in answers()] == [503, 202, 202, 503, 202]
    store_of.command("DEL", broken)
    assert receiver.post(PATH, delivery(lifecycle(customer="bad"))).status == 202


def test_a_poisoned_delivery_spoils_none_of_its_mates(
    receiver: Running, own: Server, store_of: Store
):
    """In one call of one partition: 503 for the one whose claims cannot be looked up, 202 for
    all others."""
    far = int(time.time()) + 100 * 86400
    claims = f"{keys_of(partition_of(instance())).claims}{far // CLAIM_PERIOD_SECONDS}"
    store_of.command("SET", claims, "not what holds claims")
    bodies = [delivery(lifecycle(audit=number)) for number in range(20)]
    poisoned = delivery(lifecycle(audit=99), exp=far)
    with own.hung():
        answers = receiver.send_at_once(PATH, [*bodies[:10], poisoned, *bodies[10:]])
        time.sleep(0.3)
    statuses = [answer.status for answer in answers()]
    assert statuses == [202] * 10 + [503] + [202] * 10
    assert stored(store_of, "lighthouse") == 20
    store_of.command("DEL", claims)
    assert receiver.post(PATH, poisoned).status == 202


def test_the_same_delivery_at_once_is_stored_once(receiver: Running, start: Start, own: Server):
    """Of 32 copies on two receivers one is accepted, 31 are its duplicates."""
    body = delivery(lifecycle())
    other = start(store=StoreSection(url=own.url))
    reading = [running.send_at_once(PATH, [body] * 16) for running in (receiver, other)]
    answers = [answer for read in reading for answer in read()]
    assert Counter({200: 31, 202: 1}) == Counter(answer.status for answer in answers)
    assert len({answer.json["delivery"] for answer in answers}) == 1


def test_the_apply_bell_is_rung(receiver: Running, desk: Desk):
    """After a flush somebody is told to look, through the queue server."""
    desk.queue.command("FLUSHALL")
    assert receiver.post(PATH, delivery(lifecycle())).status == 202
    assert soon(lambda: desk.queue.command("LLEN", "rq:queue:innkeeper-apply") == 1)
