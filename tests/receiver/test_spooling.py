"""The spool before a real store that is killed, hung, full or broken: accepted, and in the log."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from innkeeper.config import Config, QueueSection, ReceiverSection, StoreSection
from innkeeper.operations.accepted import read_notes
from innkeeper.operations.desk import open_desk
from innkeeper.secrets import KeyRing
from innkeeper.spool import look
from innkeeper.store.connection import Store
from innkeeper.store.keys import keys_of
from innkeeper.store.log import CLAIM_PERIOD_SECONDS, Log
from innkeeper.store.partitions import partition_of
from innkeeper_workers.apply import Applying
from tests.conftest import KEY
from tests.deliveries import (
    CUSTOMER,
    PATH,
    app_event,
    delivery,
    instance,
    lifecycle,
    policy_block,
    secrets_update,
)
from tests.processes import soon
from tests.receiver.conftest import Start
from tests.receiver.running import Running
from tests.store.servers import Server, server

PATIENCE = 20
"""Seconds: on a busy machine; how long it takes is measured by the fault suite."""
READY = "/health/ready"
Begin = Callable[..., Running]


@pytest.fixture
def own() -> Iterator[Server]:
    """A store that may be killed, hung and filled."""
    with server() as running:
        yield running


@pytest.fixture
def begin(start: Start, own: Server, tmp_path: Path) -> Begin:
    """Starts receivers with a spool in one data folder, before that store."""

    def begin_one(**receiver: Any) -> Running:
        url = own.url
        return start(
            data=tmp_path,
            receiver=ReceiverSection(**receiver),
            store=StoreSection(url=url),
            queue=QueueSection(url=url),
        )

    return begin_one


@pytest.fixture
def store_of(own: Server) -> Iterator[Store]:
    """The same store, for looking."""
    with contextlib.closing(Store(own.url)) as opened:
        yield opened


def in_log(store: Store, customer: str = CUSTOMER) -> list[str]:
    """The deliveries that a customer's partition holds, in its order."""
    partition = partition_of(instance(customer))
    entries = Log(store, KeyRing([KEY])).slices({partition: "-"}, limit=1000, oldest_first=True)[0]
    return [entry.delivery for entry in entries]


def spooled(running: Running) -> int:
    """How many deliveries the receiver says that its spool holds."""
    return int(running.ask("GET", "/health/ready").json["spool"]["deliveries"])


def drained(folder: Path) -> bool:
    """Whether the spool is empty."""
    state = look(folder, now=time.time())
    return state is not None and state.deliveries == 0


def test_a_killed_store_is_stood_in_for(begin: Begin, own: Server, store_of: Store, tmp_path: Path):
    """202 at once, a duplicate told as one, and once the store is back all is in the log,
    in order of arrival and before what came later."""
    running = begin()
    bodies = [delivery(lifecycle(audit=number)) for number in range(4)]
    own.kill()
    first, second = (running.post(PATH, body) for body in bodies[:2])
    again = running.post(PATH, bodies[0])
    assert [first.status, second.status, again.status] == [202, 202, 200]
    assert again.json == {"delivery": first.json["delivery"], "status": "duplicate"}
    own.start()
    third = running.post(PATH, bodies[2])
    assert soon(lambda: drained(tmp_path), PATIENCE)
    fourth = running.post(PATH, bodies[3])
    told = [answer.json["delivery"] for answer in (first, second, third, fourth)]
    assert soon(lambda: in_log(store_of) == told, PATIENCE)
    assert running.post(PATH, bodies[1]).json["delivery"] == told[1]


def test_a_hung_store_costs_one_time_out(
    begin: Begin, own: Server, store_of: Store, tmp_path: Path
):
    """What waits for it is accepted after 1.5 s, what comes then at once."""
    running = begin()
    with own.hung():
        started = time.monotonic()
        answers = running.post_at_once(PATH, [delivery(lifecycle(audit=n)) for n in range(20)])
        assert time.monotonic() - started < 4
        started = time.monotonic()
        answers.append(running.post(PATH, delivery(lifecycle(audit=20))))
        assert time.monotonic() - started < 1
    assert {answer.status for answer in answers} == {202}
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert sorted(in_log(store_of)) == sorted(answer.json["delivery"] for answer in answers)


def test_a_full_store_is_stood_in_for(begin: Begin, store_of: Store, tmp_path: Path):
    """Accepted while it is out of memory, in the log once it is not."""
    running = begin()
    store_of.command("CONFIG", "SET", "maxmemory", 1)
    answer = running.post(PATH, delivery(lifecycle()))
    assert answer.status == 202
    store_of.command("CONFIG", "SET", "maxmemory", 0)
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of) == [answer.json["delivery"]]


def test_a_broken_partition_holds_up_no_other(begin: Begin, store_of: Store, tmp_path: Path):
    """Its deliveries stay in the spool; others come into the log by way of it."""
    running = begin()
    broken = keys_of(partition_of(instance("bad"))).log
    store_of.command("SET", broken, "no stream")
    bad = running.post(PATH, delivery(lifecycle(customer="bad")))
    good = running.post(PATH, delivery(lifecycle(customer="good")))
    assert [bad.status, good.status] == [202, 202]
    assert soon(lambda: in_log(store_of, "good") == [good.json["delivery"]], PATIENCE)
    assert soon(lambda: spooled(running) == 1, PATIENCE)
    store_of.command("DEL", broken)
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of, "bad") == [bad.json["delivery"]]


def test_a_poisoned_delivery_holds_up_no_other(
    begin: Begin, own: Server, store_of: Store, tmp_path: Path
):
    """One whose claims cannot be looked up stays in the spool; its partition's others pass it."""
    running, far = begin(), int(time.time()) + 100 * 86400
    claims = f"{keys_of(partition_of(instance())).claims}{far // CLAIM_PERIOD_SECONDS}"
    own.kill()
    poisoned = running.post(PATH, delivery(lifecycle(audit=1), exp=far))
    good = running.post(PATH, delivery(lifecycle(audit=2)))
    assert [poisoned.status, good.status] == [202, 202]
    own.start()
    store_of.command("SET", claims, "not what holds claims")
    assert soon(lambda: in_log(store_of) == [good.json["delivery"]], PATIENCE)
    store_of.command("DEL", claims)
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of) == [good.json["delivery"], poisoned.json["delivery"]]


def test_what_a_full_store_refuses_is_spooled_at_once(
    begin: Begin, own: Server, store_of: Store, tmp_path: Path
):
    """A partition's share of a flush costs one sync of the disk, not one a delivery."""
    running = begin()
    bodies = [delivery(lifecycle(audit=number)) for number in range(60)]
    store_of.command("CONFIG", "SET", "maxmemory", 1)
    with own.hung():
        answers = running.send_at_once(PATH, bodies)
        time.sleep(0.6)
    assert {answer.status for answer in answers()} == {202}
    with contextlib.closing(sqlite3.connect(tmp_path / "spool.sqlite")) as file:
        assert file.execute("SELECT count(DISTINCT at) < 10 FROM deliveries").fetchone() == (1,)


def test_what_is_refused_is_said_once(begin: Begin, store_of: Store):
    """However often it is tried again."""
    running = begin()
    store_of.command("SET", keys_of(partition_of(instance("bad"))).log, "no stream")
    with capture_logs() as logs:
        told = running.post(PATH, delivery(lifecycle(customer="bad"))).json["delivery"]
        assert soon(lambda: any(line["event"] == "spool.refused" for line in logs), PATIENCE)
        time.sleep(2.5)
    said = [line for line in logs if line["event"] in ("spool.refused", "spool.drained")]
    assert [line["delivery"] for line in said] == [told]


def test_a_lock_that_cannot_be_had_is_tried_again(begin: Begin, own: Server, tmp_path: Path):
    """As with too many open files; draining goes on as soon as it can be."""
    (tmp_path / "spool.lock").mkdir()
    running = begin()
    own.kill()
    assert running.post(PATH, delivery(lifecycle())).status == 202
    own.start()
    assert soon(lambda: b"nothing can be drained" in running.ask("GET", READY).body, PATIENCE)
    (tmp_path / "spool.lock").rmdir()
    assert soon(lambda: drained(tmp_path), PATIENCE)


def test_a_duplicate_found_at_draining_leads_to_the_first(
    begin: Begin, own: Server, store_of: Store, tmp_path: Path
):
    """The log had it before the store went away: once in the log, and either id finds it."""
    running, body = begin(), delivery(lifecycle())
    first = running.post(PATH, body).json["delivery"]
    own.kill()
    second = running.post(PATH, body)
    assert second.status == 202
    own.start()
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of) == [first]
    found = Log(store_of, KeyRing([KEY])).find(second.json["delivery"])
    assert found is not None
    assert found.delivery == first


def test_a_full_spool_answers_503(begin: Begin, own: Server, store_of: Store, tmp_path: Path):
    """With Retry-After; what was accepted before is kept, and room comes back with the store."""
    running = begin(spool_bytes=60_000)
    own.kill()
    answers = []
    for number in range(60):
        answers.append(running.post(PATH, delivery(lifecycle(audit=number))))
        if answers[-1].status != 202:
            break
    assert answers[-1].status == 503
    assert answers[-1].headers["retry-after"] == "5"
    own.start()
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of) == [answer.json["delivery"] for answer in answers[:-1]]
    assert running.post(PATH, delivery(lifecycle(audit=99))).status == 202


def test_what_is_spooled_outlives_its_receiver(
    begin: Begin, own: Server, store_of: Store, tmp_path: Path
):
    """Another receiver on the same folder drains it."""
    running = begin()
    own.kill()
    told = running.post(PATH, delivery(lifecycle())).json["delivery"]
    running.stop()
    own.start()
    begin()
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of) == [told]


def test_two_receivers_share_one_spool(begin: Begin, own: Server, store_of: Store, tmp_path: Path):
    """A duplicate is told across them, all is drained once, and what either takes in goes behind
    it."""
    one, other = begin(), begin()
    own.kill()
    bodies = [delivery(lifecycle(audit=number)) for number in range(20)]
    turns = [one, other] * 10
    told = [
        running.post(PATH, body).json["delivery"]
        for running, body in zip(turns, bodies, strict=True)
    ]
    for running, body in zip([other, one] * 10, bodies, strict=True):
        assert running.post(PATH, body).status == 200
    own.start()
    assert soon(lambda: drained(tmp_path), PATIENCE)
    assert in_log(store_of) == told


def test_known_keys_serve_while_the_store_is_away(
    begin: Begin, own: Server, store_of: Store, tmp_path: Path, make_applied: Callable[[], None]
):
    """A customer whose key was seen is let in; one who is unknown, or signs with a key that is not
    known, is told to come again: 503 and never 401."""
    running, path = begin(), f"{PATH}?account={CUSTOMER}"
    running.post(PATH, delivery(secrets_update(policy=policy_block(CUSTOMER))))
    make_applied()
    assert soon(lambda: running.post(path, app_event()).status == 202, 3)
    time.sleep(1.1)
    own.kill()
    assert running.post(path, app_event()).status == 202
    assert running.post(path, app_event(owner="another")).status == 503
    assert running.post(f"{PATH}?account=stranger", app_event("stranger")).status == 503
    assert running.post(PATH, delivery(lifecycle(), owner="another")).status == 401


def test_health_says_what_is_in_the_spool(begin: Begin, own: Server):
    """Ready while the spool takes deliveries, with the store's state named."""
    running = begin()
    own.kill()
    assert running.post(PATH, delivery(lifecycle())).status == 202
    assert soon(lambda: spooled(running) == 1, 3)
    answer = running.ask("GET", "/health/ready")
    assert answer.status == 200
    assert answer.json["store"].startswith("unavailable")


def test_without_a_spool_it_is_not_ready(begin: Begin, own: Server):
    """503 for the delivery, and for whoever asks."""
    running = begin(spool=False)
    own.kill()
    assert running.post(PATH, delivery(lifecycle())).status == 503
    assert soon(lambda: running.ask("GET", "/health/ready").status == 503, 5)


def test_a_spool_that_cannot_be_opened_is_said(begin: Begin, own: Server, tmp_path: Path):
    """Deliveries go into the log all the same; without the log they are refused."""
    (tmp_path / "spool.sqlite").write_bytes(b"damaged" * 1000)
    running = begin()
    assert running.post(PATH, delivery(lifecycle())).status == 202
    assert running.ask("GET", "/health/ready").json["spool"]["error"]
    own.kill()
    assert running.post(PATH, delivery(lifecycle(audit=2))).status == 503


def test_each_202_is_noted(begin: Begin, own: Server, tmp_path: Path):
    """By the receiver itself, from log and spool alike; duplicates are not."""
    running = begin()
    bodies = [delivery(lifecycle(audit=number)) for number in range(3)]
    told = [running.post(PATH, bodies[0]).json["delivery"]]
    own.kill()
    told += [running.post(PATH, body).json["delivery"] for body in bodies[1:]]
    running.post(PATH, bodies[1])
    notes = list(read_notes(tmp_path))
    assert [note.delivery for note in notes] == told
    assert {note.instance for note in notes} == {str(instance())}


@pytest.fixture
def make_applied(own: Server, tmp_path: Path) -> Callable[[], None]:
    """Folds what the log of that store holds."""

    def run() -> None:
        config = Config(
            data=tmp_path,
            store=StoreSection(url=own.url),
            queue=QueueSection(url=own.url),
            secret_keys=(KEY,),
        )
        with contextlib.closing(open_desk(config)) as desk:
            while Applying(desk).look():
                continue

    return run
