"""Retention: old entries go by age and by bytes, and nothing goes that somebody still needs."""

from __future__ import annotations

import time

import pytest

from innkeeper.config import RetentionSection
from innkeeper.lifecycle.errors import Permanent
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.store.entry import Captured
from innkeeper.store.keys import TRIMMED
from innkeeper_workers.marketplaces import _look_of
from innkeeper_workers.retention import Retention
from tests.lifecycle.telling import KEY, OPERATES, SUSPENDED, brings, removes, states
from tests.standing import standing_of
from tests.workers import calls
from tests.workers.conftest import Inn, MakeInn, follow_up

AT_ONCE = RetentionSection(deliveries=0.0)


@pytest.fixture
def strict(make_inn: MakeInn) -> Inn:
    """An inn that keeps no delivery once it is folded, and sets nothing off."""
    return make_inn(retention=AT_ONCE)


def later(inn: Inn) -> int:
    """Trim, in a millisecond in which nothing came."""
    time.sleep(0.003)
    return Retention(inn.desk).run()


def test_young_entries_stay(make_inn: MakeInn):
    """With the default of fourteen days nothing of today goes."""
    inn = make_inn()
    inn.tell(states(1))
    assert later(inn) == 0


def test_old_entries_go(strict: Inn):
    """With what was told of them; the instance and its history stay."""
    deliveries = strict.tell(states(1), states(2, SUSPENDED), brings(3, {"a": "a1"}))
    assert later(strict) == 3
    assert [strict.desk.log.find(delivery) for delivery in deliveries] == [None] * 3
    assert [strict.desk.log.outcome(delivery) for delivery in deliveries] == [""] * 3
    assert strict.names() == ["installed", "enabled", "suspended"]
    counts = standing_of(strict.desk.store).counts
    assert (counts["trimmed"], counts["bytes"], counts["applied"]) == (3, 0, 3)


def test_what_is_not_folded_stays(strict: Inn):
    """However old it is: it would be lost."""
    strict.tell(states(1))
    waiting = strict.deliver(states(2, SUSPENDED))
    assert later(strict) == 1
    strict.apply()
    assert strict.desk.log.outcome(waiting) == "applied"
    assert later(strict) == 1


def test_many_entries_go_in_slices(strict: Inn):
    """As many as there are, over all partitions."""
    keys = [InstanceKey("market", "tides", f"c{number}") for number in range(3)]
    for number in range(240):
        strict.deliver(states(number, SUSPENDED if number % 2 else OPERATES), keys[number % 3])
    strict.apply()
    assert later(strict) == 240
    assert sum(strict.desk.log.held_bytes()) == 0


def test_what_unfinished_work_needs_stays(make_inn: MakeInn):
    """Its entry, and what came after it in the same partition, until the work is done."""
    inn = make_inn(follow_up("record", "app_event"), retention=AT_ONCE)
    event = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"n": 1})
    inn.tell(states(1), event, states(2, SUSPENDED))
    assert later(inn) == 1
    inn.perform()
    assert calls.seen[0][2].event.payload == {"n": 1}
    assert later(inn) == 2


def test_what_a_dead_letter_names_stays(make_inn: MakeInn):
    """Until it is dropped: requeueing must find it."""
    inn = make_inn(follow_up("fail", "enabled"), retention=AT_ONCE)
    calls.raised.append(Permanent("no"))
    (delivery,) = inn.tell(states(1))
    inn.perform()
    assert later(inn) == 0
    (letter,) = inn.desk.dead_letters.newest(5)
    assert letter.delivery == delivery
    assert inn.desk.outbox.revive(letter, requeue=False)
    assert later(inn) == 1


def test_bytes_are_bounded(make_inn: MakeInn):
    """Over all partitions together; the oldest of each go first."""
    inn = make_inn(retention=RetentionSection(deliveries_bytes=100_000))
    keys = [InstanceKey("market", "tides", f"c{number}") for number in range(4)]
    for number in range(80):
        body = Captured(body=bytes(5000))
        inn.deliver(states(number, SUSPENDED if number % 2 else OPERATES), keys[number % 4],
                    captured=body)  # fmt: skip
    inn.apply()
    assert sum(inn.desk.log.held_bytes()) > 400_000
    assert later(inn) > 60
    held = [size for size in inn.desk.log.held_bytes() if size]
    assert sum(held) <= 100_000
    assert len(held) == 4
    assert min(held) > 10_000


def test_somebody_trims_once_a_minute(strict: Inn):
    """The marketplaces job does it where it is due; who comes within the minute does not."""
    strict.tell(states(1))
    time.sleep(0.003)
    assert Retention(strict.desk).is_due()
    _look_of(strict.desk)()
    assert standing_of(strict.desk.store).counts["trimmed"] == 1
    assert not Retention(strict.desk).is_due()
    strict.tell(states(2, SUSPENDED))
    time.sleep(0.003)
    _look_of(strict.desk)()
    assert standing_of(strict.desk.store).counts["trimmed"] == 1
    strict.desk.store.command("DEL", TRIMMED)
    _look_of(strict.desk)()
    assert standing_of(strict.desk.store).counts["trimmed"] == 2
    assert KEY in [line.instance.key for line in strict.desk.register.lines([KEY]) if line]


def test_secrets_of_the_long_removed_are_destroyed(make_inn: MakeInn):
    """Once, by an entry of the log; those of whoever is there, or has come back, stay."""
    inn = make_inn(retention=RetentionSection(removed_secrets=0.0))
    other = InstanceKey("market", "tides", "stays")
    inn.tell(states(1), brings(2, {"a": "a1"}), removes(3))
    inn.tell(states(1), brings(2, {"a": "a1"}), key=other)
    assert (Retention(inn.desk).destroy_secrets(), Retention(inn.desk).destroy_secrets()) == (1, 0)
    inn.apply()
    gone, stays = inn.desk.register.lines([KEY, other])
    assert gone is not None
    assert stays is not None
    assert (gone.instance.secrets, sorted(stays.instance.secrets)) == ({}, ["a"])
    known = [len(sealed) for sealed in inn.desk.register.sealed_secrets([KEY, other])]
    assert known == [0, 1]


def test_secrets_of_the_lately_removed_stay(make_inn: MakeInn):
    """A removal may turn out to have been wrong."""
    inn = make_inn()
    inn.tell(states(1), brings(2, {"a": "a1"}), removes(3))
    assert Retention(inn.desk).destroy_secrets() == 0
