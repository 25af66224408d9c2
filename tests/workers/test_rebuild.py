"""Base records and log fold to the live register, whatever was trimmed and whenever."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from innkeeper.config import RetentionSection
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey, Mark, Read
from innkeeper.operations import rebuild
from innkeeper.operations.rebuild import check
from innkeeper_workers.retention import Retention
from tests.lifecycle.telling import (
    DISABLED,
    KEY,
    NO_YES,
    OPERATES,
    SUSPENDED,
    brings,
    removes,
    revokes,
    signing,
    states,
)
from tests.standing import standing_of
from tests.workers.conftest import Inn, MakeInn
from tests.workers.rebuilding import (
    KEYS,
    NAME,
    bases,
    differing,
    hold,
    neighbours,
    settle,
    trim_all,
    trim_some,
)

LINE, STEPS, SECRETS = KEYS.instance + NAME, KEYS.transitions + NAME, KEYS.secrets + NAME
APP_EVENT = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"n": 1})
CANARY = "canary-81d2"
Told = tuple[InstanceKey, Event, DeliveryId]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs here differs for good."""
    monkeypatch.setattr(rebuild, "_PAUSE_SECONDS", 0.0)


def any_event(chance: random.Random, number: int) -> Event:
    """Any event that may come, in and out of order."""
    line: Any = chance.choice([number, number, max(1, number - chance.randint(1, 9)), None])
    flags = chance.choice([OPERATES, SUSPENDED, DISABLED, NO_YES])
    return chance.choice([
        states(line, flags, chance.choice(["A", "A", "B"])),
        states(line, flags, confirmable=True, hint=chance.random() < 0.3),
        states(None, flags, read=Read(at_version=chance.randint(0, 9), settles=number)),
        removes(line),
        brings(line, {chance.choice("ab"): f"value {chance.randint(1, 4)}"}),
        brings(line, {"a": "a1", "b": {"c": number}}, signing(f"k{chance.randint(1, 3)}")),
        revokes(f"k{chance.randint(1, 3)}"),
        APP_EVENT,
        Event(type="wish", kind=EventKind.WISHED, confirmable=chance.random() < 0.5),
        Event(type="secrets.destroyed", kind=EventKind.DESTROYED),
        Event(type="instance.forgotten", kind=EventKind.FORGOTTEN),
    ])  # fmt: skip


def one_more(inn: Inn, chance: random.Random, told: list[Told]) -> None:
    """Deliver something: any event, marked or not, or a replay of what came before."""
    event, key = any_event(chance, len(told) + 1), chance.choice(neighbours(3))
    more: dict[str, Any] = {"mark": chance.choice([None] * 9 + [Mark.TEST, Mark.UNDECODABLE])}
    if told and chance.random() < 0.1:
        key, event, of = chance.choice(told)
        more = {"replays": of, "follow_ups": chance.random() < 0.5}
    told.append((key, event, inn.deliver(event, key, **more)))


@pytest.mark.parametrize("seed", range(16))
def test_no_difference_whatever_was_trimmed(make_inn: MakeInn, seed: int):
    """After any history, trimmed at any point, with replays and dead letters among it."""
    chance, inn, told = random.Random(seed), make_inn(), list[Told]()
    for number in range(1, 81):
        one_more(inn, chance, told)
        if chance.random() < 0.3:
            inn.apply()
        if chance.random() < 0.15:
            # Dead letters would hold the log for good.
            inn.desk.store.command("DEL", KEYS.pins)
            trim_some(inn, chance.randint(1, 25))
        if number % 20 == 0:
            assert (differing(inn), hold(inn).unchecked) == ([], [])
    inn.apply()
    trim_all(inn)
    assert differing(inn) == []
    assert inn.desk.store.command("HLEN", KEYS.base) == 0


# Planted differences


@pytest.fixture
def told(inn: Inn) -> Inn:
    """An instance with a base, newer entries, secrets and transitions."""
    inn.tell(states(1))
    settle()
    inn.tell(brings(2, {"a": CANARY, "b": CANARY}), states(3, SUSPENDED), states(4))
    inn.desk.store.command("DEL", KEYS.pins)
    trim_some(inn, 1)
    assert bases(inn) == {NAME: "enabled"}
    assert differing(inn) == []
    return inn


def change(inn: Inn, name: str, field: str, **more: Any) -> None:
    """Alter the JSON that a hash holds."""
    held = msgspec.json.decode(inn.desk.store.command("HGET", name, field))
    inn.desk.store.command("HSET", name, field, msgspec.json.encode(held | more))


def field_of_secret(inn: Inn, name: str) -> bytes:
    """Under which field a secret's value is kept."""
    fields: list[bytes] = inn.desk.store.command("HKEYS", SECRETS)
    return next(field for field in fields if field.startswith(name.encode()))


def first_folded(inn: Inn) -> Any:
    """The stream id of the log's first entry."""
    return inn.desk.store.command("XRANGE", KEYS.log, "-", "+")[0][0]


DAMAGES: dict[str, tuple[Callable[[Inn], Any], str]] = {
    "a flag": (
        lambda inn: change(inn, LINE, "record", flags={"disabled": True}),
        f"{NAME} flags.disabled: True → False",
    ),
    "a version": (
        lambda inn: change(inn, LINE, "record", version=9),
        f"{NAME} version: 9 → 4",
    ),
    "a status": (
        lambda inn: change(inn, LINE, "record", status="removed"),
        f"{NAME} status: removed → enabled",
    ),
    "the line": (
        lambda inn: inn.desk.store.command("DEL", LINE),
        f"{NAME} instance: None → enabled",
    ),
    "a line of nobody": (
        lambda inn: inn.desk.store.batch(of_nobody(inn)),
        f"{neighbours(2)[1]} instance: enabled → None",
    ),
    "the record": (
        lambda inn: inn.desk.store.command("HSET", LINE, "record", "{"),
        f"{NAME} record: cannot be read",
    ),
    "an entry": (
        lambda inn: inn.desk.store.command("XDEL", KEYS.log, first_folded(inn)),
        f"{NAME} secrets.a.current.digest: ",
    ),
    "an event": (
        lambda inn: inn.desk.store.command("DEL", KEYS.events),
        "cannot be folded: Damaged: not of a known form",
    ),
    "the base": (
        lambda inn: change(inn, KEYS.base, NAME, version=3),
        f"{NAME} version: 4 → 6",
    ),
    "no base": (
        lambda inn: inn.desk.store.command("DEL", KEYS.base),
        f"{NAME} version: 4 → 3",
    ),
    "a base of nobody": (
        lambda inn: inn.desk.store.command(
            "HSET", KEYS.base, str(neighbours(2)[1]),
            inn.desk.store.command("HGET", KEYS.base, NAME),
        ),
        f"{neighbours(2)[1]} instance: None → enabled",
    ),
    "a transition gone": (
        lambda inn: inn.desk.store.command("LREM", STEPS, -1, last_step(inn)),
        f"{NAME} transition 4: None → 4 ",
    ),
    "a transition twice": (
        lambda inn: inn.desk.store.command("RPUSH", STEPS, last_step(inn)),
        "resumed suspended→enabled → None",
    ),
    "a transition's status": (
        lambda inn: inn.desk.store.command(
            "LSET", STEPS, -1, last_step(inn).replace(b'"enabled"', b'"disabled"')
        ),
        "resumed suspended→disabled → 4 ",
    ),
    "a secret's value": (
        lambda inn: inn.desk.store.command(
            "HSET", SECRETS, field_of_secret(inn, "a"),
            inn.desk.store.command("HGET", SECRETS, field_of_secret(inn, "b")),
        ),
        f"{NAME} secret a: cannot be opened: altered, or sealed for another place → ",
    ),
    "a secret gone": (
        lambda inn: inn.desk.store.command("HDEL", SECRETS, field_of_secret(inn, "a")),
        f"{NAME} secret a: None → ",
    ),
    "a secret of nobody": (
        lambda inn: inn.desk.store.command("HSET", SECRETS, "c\n00", "x"),
        f"{NAME} secret c: cannot be opened: not of a known form → None",
    ),
}  # fmt: skip


def of_nobody(inn: Inn) -> list[tuple[Any, ...]]:
    """Calls that make a line that no entry tells of, as another's."""
    name = str(neighbours(2)[1])
    held = msgspec.json.decode(inn.desk.store.command("HGET", LINE, "record"))
    record = msgspec.json.encode(held | {"account": neighbours(2)[1].account, "secrets": {}})
    line = ("HSET", KEYS.instance + name, "record", record, "created", 1, "updated", 1)
    return [line, ("ZADD", KEYS.by_id, 0, name)]


def last_step(inn: Inn) -> bytes:
    """The newest transition as it is stored."""
    found: bytes = inn.desk.store.command("LINDEX", STEPS, -1)
    return found


@pytest.mark.parametrize("name", DAMAGES)
def test_each_difference_is_told(told: Inn, name: str):
    """Old and new, with the instance and the field; and no secret's value."""
    plant, says = DAMAGES[name]
    plant(told)
    found = differing(told)
    assert any(says in line for line in found), found
    assert not any(CANARY in line for line in found)


def test_one_instance_alone(told: Inn):
    """Only its own partition is read, and of it only what is about it."""
    other = neighbours(2)[1]
    told.tell(states(1), key=other)
    change(told, KEYS.instance + str(other), "record", version=9)
    change(told, LINE, "record", version=9)
    (found,) = check(told.desk, KEY)
    assert [one.instance for one in found.differences] == [NAME]
    assert found.instances == 1
    assert {one.instance for one in hold(told).differences} == {NAME, str(other)}


# Beside live traffic


def test_trimming_beside_folding(make_inn: MakeInn):
    """While entries come in, are folded by two and trimmed by two, no look finds a difference."""
    inn, over = make_inn(), threading.Event()
    strict = RetentionSection(deliveries=0.0)
    helpers = [make_inn(retention=strict) for _ in range(5)]
    chance, told = random.Random(7), list[Told]()

    def again(work: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            while not over.is_set():
                work()
                helpers[0].desk.store.command("DEL", KEYS.pins)

        return run

    jobs = [again(lambda: one_more(helpers[0], chance, told))]
    jobs += [again(helpers[at].apply) for at in (1, 2)]
    jobs += [again(Retention(helpers[at].desk).run) for at in (3, 4)]
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    until, looks = time.monotonic() + 3, 0
    try:
        while time.monotonic() < until:
            assert differing(inn) == []
            looks += 1
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert looks > 3
    assert standing_of(inn.desk.store).counts["trimmed"] > 0
    inn.apply()
    assert differing(inn) == []
