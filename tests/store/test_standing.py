"""How the store stands: the sums that whoever is on call looks at."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from innkeeper.lifecycle.errors import Reason
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.dead_letters import DeadLetter, Subject
from innkeeper.store.entry import Captured
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import LaneKind, Outbox
from innkeeper.store.rejected import Refusal, Rejected, keep_command
from innkeeper.store.trouble import Trouble, Troubles
from tests.standing import standing_of
from tests.store.making import (
    NOW,
    PARTITION,
    append_all,
    begin,
    finish,
    instance_of,
    key_in,
    logged,
    new_entry,
    new_work,
)

WHEN = datetime.fromtimestamp(NOW, UTC)


def test_an_empty_store(store: Store):
    """Nothing waits, nothing has come, and it has a clock."""
    standing = standing_of(store)
    assert abs(standing.now - time.time()) < 5
    assert (standing.pending, standing.work, standing.dead_letters, standing.instances) == (0,) * 4
    assert (standing.oldest_pending_at, standing.oldest_work_at) == (None, None)
    assert (standing.heard, standing.stopped) == ({}, {})
    assert standing.lanes == {"perform": 0, "marketplaces": 0}


def test_a_backlog_and_its_age(store: Store, ring: KeyRing):
    """The oldest entry behind the cursor tells the age; what is folded no longer counts."""
    before = time.time()
    append_all(store, ring, [new_entry("a"), new_entry("b")])
    standing = standing_of(store)
    assert standing.pending == 2
    assert standing.oldest_pending_at is not None
    assert before - 1 <= standing.oldest_pending_at <= standing.now
    assert len(logged(store)) == 2
    (last,) = store.command("XREVRANGE", keys_of(PARTITION).log, "+", "-", "COUNT", 1)
    commit = begin(store)
    for entry in (new_entry(), new_entry()):
        commit.outcome(entry.delivery, "applied")
    finish(store, commit, last[0].decode())
    assert standing_of(store).pending == 0
    assert standing_of(store).oldest_pending_at is None


def test_work_without_what_is_dead(store: Store):
    """Dead letters are told apart from work, of which the oldest that lives gives the age."""
    outbox, commit = Outbox(store), begin(store)
    commit.instance(None, instance_of(key_in()))
    commit.work(new_work("old", entry="1000000000000-0"))
    commit.work(new_work("young", key=key_in(number=1), entry="1500000000000-0"))
    commit.work(new_work("sign", lane=LaneKind.PLATFORM, entry="1600000000000-0"))
    letter = DeadLetter(
        id=f"{PARTITION}-x", subject=Subject.ENTRY, at=WHEN, instance=str(key_in()),
        delivery=new_entry().delivery, entry="900000000000-0", name="entry", error="no",
    )  # fmt: skip
    commit.dead_letter(letter)
    finish(store, commit)
    taken = outbox.take(PARTITION, "perform")
    assert taken is not None
    assert taken.state.work.name == "old"
    assert standing_of(store).oldest_work_at == 1_000_000_000
    assert outbox.dead(taken, "no", "", block=False, now=WHEN)
    standing = standing_of(store)
    assert (standing.work, standing.dead_letters, standing.instances) == (2, 2, 1)
    assert standing.oldest_work_at == 1_500_000_000
    assert standing.lanes == {"perform": 1, "marketplaces": 1}


def test_work_behind_many_dead_letters(store: Store):
    """It is told to be as old as the last of those that were looked at; without work, nothing."""
    keys = keys_of(PARTITION)
    for number in range(150):
        store.command("ZADD", keys.dead, 1, f"{PARTITION}-{number:03}")
        store.command("ZADD", keys.pins, 1000 * number, f"{number:03}")
    assert standing_of(store).oldest_work_at is None
    store.command("ZADD", keys.pins, 1_000_000, "alive")
    standing = standing_of(store)
    assert (standing.work, standing.oldest_work_at) == (1, 99)


def test_the_last_delivery_of_each_app(store: Store):
    """Over all partitions and restarts the newest; what comes late, out of a spool, is older."""
    for partition, at in ((3, NOW), (5, NOW + 9), (5, NOW + 2)):
        commit = begin(store, partition)
        commit.heard(key_in(partition), at - 1)
        commit.heard(key_in(partition), at)
        commit.heard(InstanceKey("rebilly", "desk", "-"), NOW)
        finish(store, commit)
    assert standing_of(store).heard == {"xurrent/app": NOW + 9, "rebilly/desk": NOW}


def test_what_stands_says_why(store: Store):
    """A partition that has only failed once does not stand."""
    troubles = Troubles(store)
    troubles.set(4, Trouble(entry="1-0", tries=1))
    troubles.set(9, Trouble(entry="1-0", stopped="the key ab is not in the ring"))
    assert standing_of(store).stopped == {9: "the key ab is not in the ring"}


def test_rings_are_told_without_a_look_at_what_is_in_them(store: Store, ring: KeyRing):
    """By app and reason, how many and since when; an emptied ring is none."""
    rejected = Rejected(store, ring, max_age_seconds=1e6)
    app = InstanceKey.pseudo("xurrent", "app")
    for reason in (Reason.EXPIRED, Reason.WRONG_AUDIENCE, Reason.WRONG_AUDIENCE):
        refusal = Refusal(at=time.time(), reason=reason, captured=Captured(body=b"x"))
        store.command(*keep_command(app, refusal, ring, max_age_seconds=1e6))
    (expired, audience) = rejected.rings()
    assert (expired.app, expired.reason, expired.count) == (app, Reason.EXPIRED, 1)
    assert (audience.reason, audience.count) == (Reason.WRONG_AUDIENCE, 2)
    assert abs(audience.newest_at - time.time()) < 5
    for one in rejected.all(now=time.time(), reason="expired"):
        rejected.drop(one)
    assert [ring.reason for ring in rejected.rings()] == [Reason.WRONG_AUDIENCE]
