"""The audit finds each planted damage and names it; where all is well it finds nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from innkeeper.bells import BellName
from innkeeper.config import RetentionSection
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.operations import findings
from innkeeper.operations.audit import Audit
from innkeeper.operations.audit_log import audit_log
from innkeeper.operations.audit_register import audit_register
from innkeeper.operations.audit_work import audit_work
from innkeeper.store.entry import raw_id
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import KEEP_SECONDS
from innkeeper.store.partitions import partition_of
from innkeeper_workers.retention import Retention
from tests.lifecycle.telling import KEY, OPERATES, SUSPENDED, brings, states
from tests.standing import newest, open_work
from tests.store.making import begin, finish, new_work
from tests.workers.conftest import PARTITION, House, Inn, MakeInn, follow_up

KEYS = keys_of(PARTITION)
LANE = f"lifecycle|{KEY}"
NAME = str(KEY)
NEIGHBOUR = InstanceKey(KEY.platform, KEY.app, "neighbour")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else writes here: what seems wrong need not be given time."""
    monkeypatch.setattr(findings, "_PAUSE_SECONDS", 0.0)


def told(inn: Inn) -> list[str]:
    """What the audit finds in the partition and its work, a line each."""
    found = audit_log(inn.desk, PARTITION)[1]
    found += [*audit_register(inn.desk, PARTITION), *audit_work(inn.desk)]
    return [f"{one.what} {one.id}: {one.says}" for one in found]


def test_nothing_where_all_is_well(house: House):
    """And the sums are told."""
    audit = Audit(house.inn.desk)
    assert list(audit.findings(lambda _: None)) == []
    sums = audit.balance
    assert (sums.accepted, sums.applied, sums.dead, sums.pending) == (6, 4, 1, 1)
    assert (sums.kept, sums.trimmed, audit.lost) == (6, 0, [])
    house.inn.apply()
    Retention(house.inn.desk).run()
    assert told(house.inn) == []


def change(house: House, name: bytes | str, field: str, **more: Any) -> None:
    """Alter the record of the instance, or whatever JSON a hash holds."""
    held = msgspec.json.decode(house.store.command("HGET", name, field))
    house.store.command("HSET", name, field, msgspec.json.encode(held | more))


def step(house: House, index: int, **more: Any) -> None:
    """Alter one of the transitions."""
    held = msgspec.json.decode(house.store.command("LINDEX", STEPS, index))
    house.store.command("LSET", STEPS, index, msgspec.json.encode(held | more))


LINE = KEYS.instance + NAME
STEPS = KEYS.transitions + NAME

Plant = Callable[[House], list[tuple[Any, ...]]]
DAMAGES: dict[str, tuple[Plant, str]] = {
    "accepted": (
        lambda h: [("HINCRBY", KEYS.counts, "accepted", 1)],
        "7 accepted, 6 applied, dead or pending",
    ),
    "applied": (
        lambda h: [("HINCRBY", KEYS.counts, "applied", -1)],
        "6 accepted, 5 applied, dead or pending",
    ),
    "trimmed": (
        lambda h: [("HINCRBY", KEYS.counts, "trimmed", 1)],
        "6 entries, 5 accepted and neither trimmed nor forgotten",
    ),
    "bytes": (lambda h: [("HINCRBY", KEYS.counts, "bytes", 3)], "bytes counted, "),
    "no outcome": (
        lambda h: [("HDEL", KEYS.outcomes, raw_id(h.first))],
        "entry {first}: lies before the cursor and has no outcome",
    ),
    "outcome too soon": (
        lambda h: [("HSET", KEYS.outcomes, raw_id(h.pending), "applied")],
        "entry {pending}: is not folded yet and has the outcome applied",
    ),
    "no event": (
        lambda h: [("HDEL", KEYS.events, raw_id(h.first))],
        "entry {first}: has no event",
    ),
    "no body": (
        lambda h: [("HDEL", KEYS.bodies, raw_id(h.pending))],
        "entry {pending}: has no body",
    ),
    "no entry": (
        lambda h: [("XDEL", KEYS.log, h.store.command("XRANGE", KEYS.log, "-", "+")[0][0])],
        "entry {first}: has an event and is not in the log",
    ),
    "cursor back": (
        lambda h: [("SET", KEYS.cursor, "0-1")],
        "entry {first}: is not folded yet and has the outcome applied",
    ),
    "orphaned body": (
        lambda h: [("HSET", KEYS.bodies, bytes(16), "x")],
        f"entry {PARTITION}-00000000-0000-0000-0000-000000000000: has a body",
    ),
    "by:id": (lambda h: [("ZREM", KEYS.by_id, NAME)], f"instance {NAME}: is missing in by:id"),
    "by:created": (
        lambda h: [("ZADD", KEYS.by_created, 5, NAME)],
        f"instance {NAME}: stands in by:created under 5",
    ),
    "by:updated": (
        lambda h: [("ZREM", KEYS.by_updated, NAME)],
        f"instance {NAME}: stands in by:updated under nothing",
    ),
    "another status": (
        lambda h: [("ZADD", KEYS.by_status + "removed", 0, NAME)],
        f"instance {NAME}: is suspended and stands under removed suspended",
    ),
    "no status": (
        lambda h: [("ZREM", KEYS.by_status + "suspended", NAME)],
        "stands under no status",
    ),
    "policy file": (
        lambda h: [("DEL", KEYS.policy + NAME)],
        "what receivers see of its signing policies is not what its record says",
    ),
    "policy index": (
        lambda h: [("ZREM", KEYS.with_policy, NAME)],
        "what receivers see of its signing policies is not what its record says",
    ),
    "no record": (lambda h: [("HDEL", LINE, "record")], f"instance {NAME}: has no record"),
    "bad record": (lambda h: [("HSET", LINE, "record", "{")], "its record cannot be read"),
    "no line": (lambda h: [("DEL", LINE)], "has a base record, and is no line"),
    "stray index": (
        lambda h: [("ZADD", KEYS.by_created, 5, "a/b/stray")],
        "instance a/b/stray: stands in an index, or has a base record, and is no line",
    ),
    "stray base": (
        lambda h: [("HSET", KEYS.base, "a/b/stray", "!gone")],
        "instance a/b/stray: stands in an index, or has a base record, and is no line",
    ),
    "stray secrets": (
        lambda h: [("HSET", KEYS.secrets + "a/b/stray", "a", "b")],
        "instance a/b/stray: has secrets and no line",
    ),
    "last entry": (lambda h: [("HSET", LINE, "entry", "1-1")], "and 1-1 beside it"),
    "transition gone": (lambda h: [("LPOP", STEPS)], "has 2 transitions, its record counts 3"),
    "transition twice": (
        lambda h: [("RPUSH", STEPS, h.store.command("LINDEX", STEPS, -1))],
        "has 4 transitions, its record counts 3",
    ),
    "dead work dropped": (
        lambda h: [("DEL", KEYS.work + h.blocking)],
        "holds {blocking}, which is missing",
    ),
    "done work gone": (
        lambda h: [("DEL", KEYS.work + h.done)],
        "{first}.1 has set off record, which is no work",
    ),
    "done work stays": (
        lambda h: [("PERSIST", KEYS.work + h.done)],
        "work {done}: is done and never goes",
    ),
    "done work pins": (
        lambda h: [("ZADD", KEYS.pins, 1, h.done)],
        "work {done}: is done and keeps its entry from being trimmed",
    ),
    "work without state": (
        lambda h: [("HSET", KEYS.work + "lost", "attempts", 1)],
        "work lost: has no state",
    ),
    "work unread": (
        lambda h: [("HSET", KEYS.work + h.blocking, "spec", "{")],
        "work {blocking}: is dead, and what it is cannot be read",
    ),
    "work out of its lane": (
        lambda h: [("RPOP", KEYS.queue + LANE)],
        "is waiting and in no lane",
    ),
    "lane stands": (
        lambda h: [("HDEL", KEYS.lane + LANE, "blocked")],
        f"lane {LANE}: holds work and is neither due, leased nor blocked",
    ),
    "blocked by another": (
        lambda h: [("HSET", KEYS.lane + LANE, "blocked", "x")],
        f"lane {LANE}: is blocked by x, which is not its first",
    ),
    "blocked for nothing": (
        lambda h: [("HSET", KEYS.lane + "app|a/b/c", "blocked", "x")],
        "lane app|a/b/c: is blocked by x and holds no work",
    ),
    "work twice": (
        lambda h: [("RPUSH", KEYS.queue + LANE, h.blocking)],
        f"lane {LANE}: holds the same work twice",
    ),
    "stray pin": (
        lambda h: [("ZADD", KEYS.pins, 1, "stray")],
        "pin stray: keeps entries from being trimmed and stands for nothing unfinished",
    ),
    "no pin": (
        lambda h: [("ZREM", KEYS.pins, h.blocking)],
        "work {blocking}: is dead and does not keep its entry from being trimmed",
    ),
    "letter unlisted": (
        lambda h: [("ZREM", KEYS.dead, h.dead)],
        "dead letter {dead}: is in no list",
    ),
    "letter unread": (
        lambda h: [("HDEL", KEYS.dead_records, h.dead)],
        "dead letter {dead}: has no record that can be read",
    ),
    "letter without pin": (
        lambda h: [("ZREM", KEYS.pins, h.dead)],
        "dead letter {dead}: does not keep its entry from being trimmed",
    ),
    "letter of a folded entry": (
        lambda h: [("HSET", KEYS.outcomes, raw_id(h.dead), "applied")],
        "dead letter {dead}: its entry is applied",
    ),
    "letter of living work": (
        lambda h: [("HSET", KEYS.work + h.blocking, "state", "waiting")],
        f"dead letter {PARTITION}-{{blocking}}: its work is waiting",
    ),
    "dead work without letter": (
        lambda h: [
            ("ZREM", KEYS.dead, f"{PARTITION}-{h.blocking}"),
            ("HDEL", KEYS.dead_records, f"{PARTITION}-{h.blocking}"),
        ],
        "work {blocking}: is dead and no dead letter",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_found(house: House, name: str):
    """And told with the id of what is damaged."""
    plant, says = DAMAGES[name]
    house.store.batch(plant(house))
    ids = {"first": house.first, "dead": house.dead, "pending": house.pending,
           "done": house.done, "blocking": house.blocking}  # fmt: skip
    found = told(house.inn)
    assert any(says.format(**ids) in line for line in found), found


@pytest.mark.parametrize(
    ("at", "more", "says"),
    [
        (1, {"number": 3}, "its transitions are numbered 1 3 3"),
        (2, {"from_status": "removed"}, "begins with removed"),
        (2, {"to_status": "disabled"}, "its last transition ends with disabled"),
    ],
)
def test_a_changed_transition_is_found(house: House, at: int, more: dict[str, Any], says: str):
    """Numbers, the chain of statuses, and where it ends."""
    step(house, at, **more)
    assert any(says in line for line in told(house.inn))


def test_a_record_of_another_status_is_found(house: House):
    """Against its index and against its last transition."""
    change(house, LINE, "record", status="disabled")
    found = told(house.inn)
    assert any("is disabled and stands under suspended" in line for line in found)
    assert any("ends with suspended, its record is disabled" in line for line in found)


def test_done_work_may_be_long_gone(house: House):
    """What was set off longer ago than work is kept is not missed."""
    longago = time.time() - KEEP_SECONDS - 60
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(longago))
    for at in range(3):
        step(house, at, at=stamp)
    house.store.command("DEL", KEYS.work + house.done)
    assert told(house.inn) == []


# Beside live traffic


@pytest.fixture
def traffic(make_inn: MakeInn) -> Iterator[Inn]:
    """An inn where deliveries come in, are folded, worked off, trimmed and forgotten at once."""
    inn = make_inn(
        follow_up("record", "enabled", "suspended"), retention=RetentionSection(deliveries=0.0)
    )
    others = [make_inn(follow_up("record"), retention=RetentionSection(deliveries=0.0))
              for _ in range(3)]  # fmt: skip
    over = threading.Event()

    def deliver() -> None:
        number = 0
        while not over.is_set():
            number += 1
            others[0].deliver(states(number, SUSPENDED if number % 2 else OPERATES))
            others[0].deliver(brings(number, {"a": f"a{number}"}), NEIGHBOUR)
            if number % 7 == 0:
                forgotten = Event(type="instance.forgotten", kind=EventKind.FORGOTTEN)
                others[0].deliver(forgotten, (KEY, NEIGHBOUR)[number % 2])

    def run(work: Callable[[], Any]) -> Callable[[], None]:
        def again() -> None:
            while not over.is_set():
                work()

        return again

    jobs = (deliver, run(others[1].apply), run(inn.perform), run(Retention(others[2].desk).run))
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    yield inn
    over.set()
    for thread in threads:
        thread.join()


def test_beside_live_traffic_nothing_seems_wrong(traffic: Inn, monkeypatch: pytest.MonkeyPatch):
    """While entries come, are folded, worked off and trimmed, and customers forgotten."""
    monkeypatch.setattr(findings, "_PAUSE_SECONDS", 0.1)
    until, rounds = time.monotonic() + 3, 0
    while time.monotonic() < until:
        assert list(Audit(traffic.desk).findings(lambda _: None)) == []
        rounds += 1
    assert rounds
    assert partition_of(KEY) == PARTITION


def test_beside_a_long_lane_that_is_worked_off_nothing_seems_wrong(make_inn: MakeInn):
    """Some of its work is always settled while the lane is looked at."""
    inn, other = make_inn(), make_inn()
    inn.tell(states(1))
    entry = newest(inn.desk.log, PARTITION)[0].stream_id
    commit = begin(inn.desk.store, PARTITION)
    for number in range(1000):
        commit.work(new_work(f"w{number}", key=KEY, entry=entry))
    finish(inn.desk.store, commit)
    over, outbox = threading.Event(), other.desk.outbox

    def work() -> None:
        while not over.wait(0.005) and (taken := outbox.take(PARTITION, BellName.PERFORM)):
            outbox.done(taken)

    thread = threading.Thread(target=work)
    thread.start()
    found = list(audit_work(inn.desk))
    over.set()
    thread.join()
    assert found == []
    assert open_work(inn.desk.store) > 0
