"""Apply in trouble: poison is put aside, a plague stops its partition, and nothing is lost."""

from __future__ import annotations

import time

import pytest

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.store.entry import raw_id
from innkeeper.store.errors import StoreUnavailable
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from innkeeper.store.trouble import Trouble
from innkeeper_workers.apply import TRIES, Applying
from tests.conftest import KEY as RING_KEY
from tests.lifecycle.telling import KEY, OPERATES, SUSPENDED, brings, states
from tests.standing import standing_of
from tests.workers.conftest import PARTITION, Inn, MakeInn, follow_up

POISON = Event(type="nothing.known", kind=EventKind.OTHER)
"""Without the mark that a receiver would have given it, the machine refuses it."""
OTHER_RING = bytes(32)


def trouble_of(desk: Desk, partition: int = PARTITION) -> Trouble | None:
    """What stands in the partition's way."""
    return desk.troubles.all().get(partition)


def try_on(desk: Desk, times: int = 1, partition: int = PARTITION) -> None:
    """Try, without waiting for the time at which it would be tried again."""
    for _ in range(times):
        Applying(desk).apply(partition, trouble_of(desk, partition))


def outcomes(inn: Inn, deliveries: list[DeliveryId]) -> list[str]:
    """What became of deliveries."""
    return [inn.desk.log.outcome(delivery) for delivery in deliveries]


def test_a_poisoned_entry_is_put_aside(inn: Inn):
    """What stands before it is applied; after three tries alone it is a dead letter; what stands
    behind it is applied then."""
    deliveries = [inn.deliver(event) for event in (states(1), POISON, states(2, SUSPENDED))]
    try_on(inn.desk)
    assert outcomes(inn, deliveries) == ["applied", "", ""]
    for tries in range(1, TRIES):
        try_on(inn.desk)
        trouble = trouble_of(inn.desk)
        assert trouble is not None
        assert (trouble.tries, trouble.stopped) == (tries, "")
        assert "nothing handles nothing.known" in trouble.error
        assert outcomes(inn, deliveries) == ["applied", "", ""]
    try_on(inn.desk)
    assert outcomes(inn, deliveries) == ["applied", "dead", ""]
    try_on(inn.desk)
    assert outcomes(inn, deliveries) == ["applied", "dead", "applied"]
    assert trouble_of(inn.desk) is None
    assert inn.names() == ["installed", "enabled", "suspended"]
    counts = standing_of(inn.desk.store).counts
    assert (counts["accepted"], counts["applied"], counts["dead"]) == (3, 2, 1)


def test_its_dead_letter_says_why(inn: Inn):
    """The error and its traceback, and where to find the entry, which is not trimmed."""
    delivery = inn.deliver(POISON)
    try_on(inn.desk, TRIES)
    letter = inn.desk.dead_letters.find(delivery)
    assert letter is not None
    assert letter.error.startswith("Impossible: nothing handles")
    assert "machine.py" in letter.detail
    assert letter.entry == inn.desk.log.find(delivery).stream_id  # type: ignore[union-attr]
    assert inn.desk.store.command("ZCARD", keys_of(PARTITION).pins) == 1


def test_it_is_not_tried_again_at_once(inn: Inn):
    """A look leaves the partition alone until its time has come."""
    inn.deliver(POISON)
    assert inn.apply() == 0
    assert inn.apply() == 0
    trouble = trouble_of(inn.desk)
    assert trouble is not None
    assert trouble.tries == 1
    assert 0 < trouble.next_try - time.time() <= 1


def test_other_partitions_go_on(inn: Inn):
    """A poisoned entry keeps nobody waiting but its own partition."""
    inn.deliver(POISON)
    others = [InstanceKey("market", "tides", f"c{number}") for number in range(20)]
    others = [key for key in others if partition_of(key) != PARTITION]
    for key in others:
        inn.deliver(states(1), key)
    inn.apply()
    assert all(inn.desk.register.lines(others))


def test_three_poisoned_in_a_row_are_a_plague(inn: Inn):
    """Two are put aside; at the third the partition stops and says so, and it is kept."""
    deliveries = [inn.deliver(event) for event in (POISON, POISON, POISON, states(1))]
    try_on(inn.desk, 5 * TRIES)
    assert outcomes(inn, deliveries) == ["dead", "dead", "", ""]
    trouble = trouble_of(inn.desk)
    assert trouble is not None
    assert "three" in trouble.stopped
    assert trouble.next_try - time.time() > 5
    assert inn.desk.dead_letters.count() == 2


def test_good_ones_in_between_are_no_row(inn: Inn):
    """Poison that is scattered among good entries stops nothing, however much it is."""
    deliveries = []
    for number in range(5):
        deliveries.append(inn.deliver(POISON))
        deliveries.append(inn.deliver(states(number, SUSPENDED if number % 2 else OPERATES)))
    try_on(inn.desk, 10 * TRIES)
    assert outcomes(inn, deliveries) == ["dead", "applied"] * 5
    assert trouble_of(inn.desk) is None


def test_a_moved_entry_is_poison(inn: Inn):
    """Bytes that were not sealed for this delivery are nobody's word."""
    delivery, other = inn.deliver(states(1)), inn.deliver(brings(2, {"a": "1"}))
    keys = keys_of(PARTITION)
    store = inn.desk.store
    store.command(
        "HSET", keys.events, raw_id(other), store.command("HGET", keys.events, raw_id(delivery))
    )
    try_on(inn.desk, 1 + TRIES)
    assert outcomes(inn, [delivery, other]) == ["applied", "dead"]
    letter = inn.desk.dead_letters.find(other)
    assert letter is not None
    assert letter.error.startswith("Damaged")


def test_a_missing_key_stops_and_heals(make_inn: MakeInn, inn: Inn):
    """The partition says which key is missing; nothing is dead-lettered however often it is tried;
    with the key back in the ring it goes on as if nothing had been."""
    strange = make_inn(follow_up(), secret_keys=(OTHER_RING,))
    deliveries = [inn.deliver(states(1)), inn.deliver(brings(2, {"a": "1"}))]
    try_on(strange.desk, 5 * TRIES)
    trouble = trouble_of(inn.desk)
    assert trouble is not None
    assert trouble.stopped.startswith("MissingKey: the key ")
    assert outcomes(inn, deliveries) == ["", ""]
    assert inn.desk.dead_letters.count() == 0
    assert strange.apply() == 0  # it waits before it looks again
    both = make_inn(follow_up(), secret_keys=(OTHER_RING, RING_KEY))
    try_on(both.desk)
    assert outcomes(inn, deliveries) == ["applied", "applied"]
    assert trouble_of(inn.desk) is None


def test_a_key_missing_in_the_middle_keeps_what_came_before(make_inn: MakeInn, inn: Inn):
    """What can be opened is applied; the partition stops at the first that cannot."""
    strange = make_inn(secret_keys=(OTHER_RING,))
    deliveries = [strange.deliver(states(1)), inn.deliver(states(2, SUSPENDED))]
    try_on(strange.desk, 2)
    assert outcomes(inn, deliveries) == ["applied", ""]
    trouble = trouble_of(inn.desk)
    assert trouble is not None
    assert trouble.stopped


def test_a_broken_instance_stops_its_partition_alone(inn: Inn):
    """The store's error is told, nothing is dead-lettered, and all others go on; mended, it does
    so too."""
    broken = keys_of(PARTITION).instance + str(KEY)
    others = [InstanceKey("market", "tides", f"c{number}") for number in range(40)]
    others = [key for key in others if partition_of(key) != PARTITION]
    assert min(map(partition_of, others)) < PARTITION < max(map(partition_of, others))
    inn.desk.store.command("SET", broken, "no line")
    delivery = inn.deliver(states(1))
    for key in others:
        inn.deliver(states(1), key)
    inn.apply()
    assert all(inn.desk.register.lines(others))
    trouble = trouble_of(inn.desk)
    assert trouble is not None
    assert "WRONGTYPE" in trouble.stopped
    assert inn.desk.dead_letters.count() == 0
    inn.desk.store.command("DEL", broken)
    try_on(inn.desk)
    assert outcomes(inn, [delivery]) == ["applied"]
    assert trouble_of(inn.desk) is None


def test_a_store_that_is_away_is_no_trouble(inn: Inn, monkeypatch: pytest.MonkeyPatch):
    """It is told to the job, which fails; nothing is counted against an entry."""
    delivery = inn.deliver(states(1))
    with monkeypatch.context() as away:
        pool = inn.desk.store.redis.connection_pool
        away.setitem(pool.connection_kwargs, "path", "/nowhere")
        pool.disconnect()
        pool.reset()
        with pytest.raises(StoreUnavailable):
            Applying(inn.desk).look()
    pool.reset()
    assert trouble_of(inn.desk) is None
    assert inn.apply() == 1
    assert outcomes(inn, [delivery]) == ["applied"]
