"""Commits: what each kind of change leaves in lines, indexes, secrets and policy files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from innkeeper.lifecycle.events import DeliveryId, SigningPolicy
from innkeeper.lifecycle.instance import Existence, HeldPolicy, Instance, Slot, Source, Status
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.secrets import KeyRing
from innkeeper.store.commit import Commit
from innkeeper.store.connection import Store
from innkeeper.store.entry import new_delivery_id
from innkeeper.store.keys import keys_of
from innkeeper.store.log import Log
from innkeeper.store.outbox import LaneKind
from innkeeper.store.policies import policy_command, read_policies
from innkeeper.store.register import Line, Register
from innkeeper.store.trouble import Trouble, Troubles
from tests.standing import standing_of
from tests.store.making import (
    NOW,
    PARTITION,
    begin,
    cursor_of,
    finish,
    instance_of,
    key_in,
    new_work,
)

KEYS, KEY = keys_of(PARTITION), key_in()
Write = Callable[[Instance | None, Instance], Line]


@pytest.fixture
def write(store: Store, ring: KeyRing) -> Write:
    """Commits an instance's change; its line afterwards."""

    def write(before: Instance | None, after: Instance) -> Line:
        commit = begin(store)
        commit.instance(before, after)
        finish(store, commit)
        line = Register(store, ring).line(after.key)
        assert line is not None
        assert after == line.instance
        return line

    return write


def _score(store: Store, index: str) -> float | None:
    score = store.command("ZSCORE", index, str(KEY))
    return None if score is None else float(score)


def _statuses(store: Store) -> list[Status]:
    return [s for s in Status if _score(store, KEYS.by_status + s) is not None]


# Lines and indexes


def test_a_new_instance(store: Store, write: Write):
    """A first sight puts the instance into every index, once."""
    line = write(None, instance_of(KEY))
    created = line.created_at.timestamp()
    assert _score(store, KEYS.by_id) == 0
    assert created == pytest.approx((_score(store, KEYS.by_created) or 0) / 1e6, abs=1e-6)
    assert _score(store, KEYS.by_created) == _score(store, KEYS.by_updated)
    assert _statuses(store) == [Status.ENABLED]


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_a_status_moves(store: Store, write: Write, before: Status, after: Status):
    """From whichever status to whichever, the instance stands in the index of one only."""
    first = write(None, instance_of(KEY, before))
    second = write(instance_of(KEY, before), instance_of(KEY, after))
    assert [after] == _statuses(store)
    assert first.created_at == second.created_at
    assert (before == after) == (first.updated_at == second.updated_at)


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"version": 2}, True),
        ({"confirmed": False}, True),
        ({"node_id": "n1"}, True),
        ({"entry": "1790000000009-0"}, False),
        ({"confirm_wanted": 3}, False),
        ({"confirm_settled": 3}, False),
    ],
)
def test_what_counts_as_an_update(store: Store, write: Write, change: dict, moves: bool):
    """Only what is to be seen of an instance moves the time of its last update."""
    before = instance_of(KEY)
    first, second = write(None, before), write(before, replace(before, **change))
    assert first.created_at == second.created_at
    assert moves == (second.updated_at > first.updated_at)
    updated = (_score(store, KEYS.by_updated) or 0) / 1e6
    assert second.updated_at.timestamp() == pytest.approx(updated, abs=1e-6)


def test_created_once(store: Store, write: Write):
    """A fold that believes an instance new, when it is not, leaves its time of creation."""
    first = write(None, instance_of(KEY))
    second = write(None, instance_of(KEY, version=2))
    assert first.created_at == second.created_at
    assert store.command("ZCARD", KEYS.by_id) == 1


def test_many_instances_in_one_commit(store: Store, ring: KeyRing):
    """All instances of a batch are written, whatever characters their names hold."""
    keys = [replace_account(KEY, account) for account in ("a", "b/c", "ü ☃", "{x}", "q|r")]
    commit = Commit(PARTITION, "0-0")
    for number, key in enumerate(keys):
        commit.instance(None, instance_of(key, list(Status)[number]))
    assert commit.run(store, "1-1")
    found = {name.decode() for name in store.command("ZRANGE", KEYS.by_id, 0, -1)}
    assert {str(key) for key in keys} == found


def replace_account(key, account):
    """An instance of this partition's, by whatever account name."""
    return type(key)(key.platform, key.app, account)


# Secrets


def test_secrets_written_and_dropped(store: Store, ring: KeyRing):
    """What is kept is written, what was known and is not kept goes, and nothing else."""
    register = Register(store, ring)
    for known, kept in (
        (set(), {"a": b"1", "b": b"2"}),
        ({"a", "b"}, {"b": b"2", "c": b"3"}),
        ({"b", "c"}, {}),
    ):
        commit = begin(store)
        commit.secrets(KEY, known, kept)
        finish(store, commit)
        assert [kept] == register.sealed_secrets([KEY])


# Policies


def _policy(name: str, order: int = 1) -> HeldPolicy:
    return HeldPolicy(
        policy=SigningPolicy(algorithm="RS256", public_key=name, fingerprint=name),
        order=OrderKey(OrderKind.AUDIT, order),
        source=Source(delivery=DeliveryId("7-x"), at=datetime.fromtimestamp(NOW, UTC)),
    )


def _in_force(store: Store, *, now: float = NOW, grace: float = 60.0) -> list[str]:
    answer = store.command(*policy_command(KEY))
    return [one.fingerprint for one in read_policies(answer, now=now, grace_seconds=grace)]


def test_a_learned_policy(store: Store, write: Write, ring: KeyRing):
    """A policy that an instance holds is a file for receivers, and in the index of such."""
    assert _in_force(store) == []
    write(None, instance_of(KEY, policy=Slot(current=_policy("p1"))))
    assert _in_force(store) == ["p1"]
    assert Register(store, ring).with_policy() == [KEY]


def test_the_previous_policy_has_its_grace(store: Store, write: Write):
    """A replaced policy is in force until its grace period is over, and never before a current."""
    replaced_at = datetime.fromtimestamp(NOW, UTC)
    one = instance_of(KEY, policy=Slot(current=_policy("p1")))
    slot = Slot(current=_policy("p2", 2), previous=_policy("p1"), replaced_at=replaced_at)
    write(None, one)
    write(one, replace(one, policy=slot))
    assert _in_force(store, now=NOW + 59) == ["p2", "p1"]
    assert _in_force(store, now=NOW + 60) == ["p2"]


def test_a_policy_goes(store: Store, write: Write, ring: KeyRing):
    """A policy that an instance no longer holds is in force nowhere."""
    one = instance_of(KEY, policy=Slot(current=_policy("p1")))
    write(None, one)
    write(one, replace(one, policy=None))
    assert _in_force(store) == []
    assert Register(store, ring).with_policy() == []


def test_a_removal_ends_its_policy(store: Store, write: Write, ring: KeyRing):
    """With a removal newer than the policy it goes out of force, and a new one comes into it."""
    one = instance_of(KEY, policy=Slot(current=_policy("p1", 5)))
    floor = Existence(present=False, floor=OrderKey(OrderKind.AUDIT, 9))
    gone = replace(one, existence=floor, status=Status.REMOVED)
    write(None, one)
    write(one, gone)
    assert _in_force(store) == []
    assert Register(store, ring).with_policy() == []
    back = replace(gone, policy=Slot(current=_policy("p2", 10)), status=Status.ENABLED)
    write(gone, back)
    assert _in_force(store) == ["p2"]
    assert Register(store, ring).with_policy() == [KEY]


# The rest of a batch


def test_outcomes_are_counted(store: Store, ring: KeyRing):
    """Each entry's outcome is noted, and the numbers of applied and dead ones grow."""
    ids = [new_delivery_id(KEY) for _ in range(3)]
    commit = begin(store)
    commit.outcome(ids[0], "applied")
    commit.outcome(ids[1], "stale")
    commit.outcome(ids[2], "dead", dead=True)
    finish(store, commit)
    log = Log(store, ring)
    assert [log.outcome(one) for one in ids] == ["applied", "stale", "dead"]
    assert (standing_of(store).counts["applied"], standing_of(store).counts["dead"]) == (2, 1)


def test_trouble_is_cleared_with_the_batch(store: Store):
    """The batch that gets a partition going again forgets what stood in its way."""
    troubles = Troubles(store)
    troubles.set(PARTITION, Trouble(entry="1-1", tries=2, error="no"))
    troubles.set(8, Trouble(stopped="a key is missing", next_try=NOW))
    assert {PARTITION, 8} == set(troubles.all())
    commit = begin(store)
    commit.clear_trouble()
    finish(store, commit)
    assert {8: Trouble(stopped="a key is missing", next_try=NOW)} == troubles.all()
    troubles.clear(8)
    assert troubles.all() == {}


def test_work_goes_to_the_end_of_its_lane(store: Store):
    """Work waits in its lane in the order in which it was put in, pinned to its entry."""
    commit = begin(store)
    for name in ("w1", "w2", "w3"):
        commit.work(new_work(name, entry="1790000000005-3"))
    commit.work(new_work("p1", lane=LaneKind.PLATFORM, entry="1790000000007-0"))
    finish(store, commit)
    queue = KEYS.queue + f"lifecycle|{KEY}"
    assert store.command("LRANGE", queue, 0, -1) == [b"w1", b"w2", b"w3"]
    pins = store.command("ZRANGE", KEYS.pins, 0, -1, "WITHSCORES")
    assert [score for _, score in pins] == [1790000000005.0] * 3 + [1790000000007.0]
    assert store.command("ZCARD", KEYS.due + "perform") == 1
    assert store.command("ZCARD", KEYS.due + "marketplaces") == 1


def test_an_empty_commit_moves_the_cursor(store: Store):
    """A batch that changes nothing is still behind us."""
    assert Commit(PARTITION, "0-0").run(store, "5-1")
    assert cursor_of(store) == "5-1"
    assert store.command("DBSIZE") == 1
