"""The sweep: it rings for whatever is due, and for nothing else."""

from __future__ import annotations

import pytest

from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.store.keys import TRIMMED
from innkeeper_workers.sweep import Swept, sweep
from tests.lifecycle.telling import KEY, states
from tests.workers.conftest import Inn
from tests.workers.test_apply_trouble import POISON

BELLS = ("apply", "perform", "marketplaces")


@pytest.fixture(autouse=True)
def trimmed(inn: Inn) -> None:
    """Nothing is to be trimmed, unless a test says so; no bell has been rung."""
    inn.desk.store.command("SET", TRIMMED, 1)


def swept(inn: Inn) -> tuple[Swept, dict[str, int]]:
    """What a sweep finds, and how many jobs it leaves in each queue."""
    for bell in BELLS:
        inn.desk.queue.command("DEL", f"rq:queue:innkeeper-{bell}", f"ik:bell:{bell}")
    found = sweep(inn.desk)
    jobs = {b: inn.desk.queue.command("LLEN", f"rq:queue:innkeeper-{b}") for b in BELLS}
    return found, {bell: count for bell, count in jobs.items() if count}


def test_where_nothing_is_due_no_bell_rings(inn: Inn):
    """An empty store, and one where all is done."""
    nothing = Swept(0, {"perform": 0, "marketplaces": 0}, 0)
    assert swept(inn) == (nothing, {})
    inn.tell(states(1))
    inn.perform()
    assert swept(inn) == (nothing, {})


def test_it_rings_for_what_is_not_folded(inn: Inn):
    """Once, however many partitions are behind."""
    for number in range(30):
        inn.deliver(states(1), InstanceKey("market", "tides", f"c{number}"))
    found, jobs = swept(inn)
    assert found.behind > 10
    assert jobs == {"apply": 1}


def test_it_rings_for_what_is_to_be_done(inn: Inn):
    """Follow-ups and handshakes, each with their own bell."""
    inn.tell(states(1))
    assert swept(inn) == (Swept(0, {"perform": 1, "marketplaces": 0}, 0), {"perform": 1})
    inn.tell(Event(type="webhook.verify", kind=EventKind.HANDSHAKE, callback="https://a/"))
    found, jobs = swept(inn)
    assert found.due == {"perform": 1, "marketplaces": 1}
    assert jobs == {"perform": 1, "marketplaces": 1}


def test_it_does_not_ring_for_what_waits(inn: Inn):
    """Neither for work under a lease or before its next try, nor for a partition in trouble."""
    inn.tell(states(1))
    (partition,) = [p for p, one in enumerate(inn.desk.outbox.probe()) if one.due["perform"]]
    taken = inn.desk.outbox.take(partition, "perform")
    assert taken is not None
    assert swept(inn)[1] == {}
    inn.desk.outbox.later(taken, 60, "later")
    assert swept(inn)[1] == {}
    inn.hurry()
    assert swept(inn)[1] == {"perform": 1}


def test_a_partition_in_trouble_waits_for_its_time(inn: Inn):
    """It is counted where it has stopped, and rung for when it is to be tried again."""
    for _ in range(3):
        inn.deliver(POISON)
    inn.apply()
    found, jobs = swept(inn)
    assert (found.behind, found.stopped, jobs) == (1, 0, {})
    partition, trouble = next(iter(inn.desk.troubles.all().items()))
    stopped = type(trouble)(entry=trouble.entry, stopped="because", next_try=1.0)
    inn.desk.troubles.set(partition, stopped)
    found, jobs = swept(inn)
    assert (found.behind, found.stopped, jobs) == (1, 1, {"apply": 1})


def test_a_lost_bell_is_made_good(inn: Inn):
    """Whatever becomes of the queue server's data, the next sweep rings again."""
    inn.deliver(states(1), KEY)
    assert swept(inn)[1] == {"apply": 1}
    inn.desk.queue.command("DEL", "rq:queue:innkeeper-apply", "ik:bell:apply")
    assert sweep(inn.desk).behind == 1
    assert inn.desk.queue.command("LLEN", "rq:queue:innkeeper-apply") == 1


def test_it_rings_for_the_trimming(inn: Inn):
    """Once a minute somebody has to look at what may go."""
    inn.desk.store.command("DEL", TRIMMED)
    assert swept(inn)[1] == {"marketplaces": 1}
