"""The outbox: lanes, leases and fences, and what becomes of work that fails."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.secrets import KeyRing
from innkeeper.store.commit import Commit
from innkeeper.store.connection import Store
from innkeeper.store.dead_letters import DeadLetter, DeadLetters, Subject
from innkeeper.store.keys import keys_of
from innkeeper.store.log import Log
from innkeeper.store.outbox import KEEP_SECONDS, LEASE_SECONDS, Lane, LaneKind, Outbox, Taken, Work
from tests.standing import open_work
from tests.store.making import (
    NOW,
    PARTITION,
    begin,
    finish,
    key_in,
    new_entry,
    new_work,
    trim,
)

KEYS, KEY = keys_of(PARTITION), key_in()
OTHER = key_in(PARTITION, 1)
DUE = KEYS.due + "perform"
WHEN = datetime.fromtimestamp(NOW, UTC)


@pytest.fixture
def outbox(store: Store) -> Outbox:
    """The outbox of the empty store."""
    return Outbox(store)


def _put(store: Store, *works: Work) -> None:
    commit = begin(store)
    for work in works:
        commit.work(work)
    finish(store, commit)


def _take(outbox: Outbox, bell: str = "perform") -> Taken:
    taken = outbox.take(PARTITION, bell)
    assert taken is not None
    return taken


def _names(outbox: Outbox) -> list[str]:
    """Take and finish whatever is due; its names in that order."""
    names = []
    while taken := outbox.take(PARTITION, "perform"):
        names.append(taken.state.work.name)
        assert outbox.done(taken)
    return names


def _due_in(store: Store, lane: str, bell: str = "perform") -> float:
    """In how many seconds a lane is due."""
    seconds, micro = store.command("TIME")
    score = float(store.command("ZSCORE", KEYS.due + bell, lane))
    return score / 1e3 - int(seconds) - int(micro) / 1e6


def _hurry(store: Store) -> None:
    """Let all leases and delays run out."""
    for lane in store.command("ZRANGE", DUE, 0, -1):
        store.command("ZADD", DUE, "XX", 1, lane)


def _dead(store: Store) -> list[DeadLetter]:
    return DeadLetters(store).newest(10)


# Order


def test_nothing_to_do(store: Store, outbox: Outbox):
    """An empty outbox hands out nothing."""
    assert outbox.take(PARTITION, "perform") is None
    assert open_work(store) == 0


def test_a_lane_keeps_its_order(store: Store, outbox: Outbox):
    """Within a lane the next is handed out when the one before it is done, and not before."""
    _put(store, new_work("w1"), new_work("w2"))
    _put(store, new_work("w3"))
    first = _take(outbox)
    assert first.state.work.name == "w1"
    assert outbox.take(PARTITION, "perform") is None
    assert outbox.done(first)
    assert _names(outbox) == ["w2", "w3"]
    assert open_work(store) == 0


def test_lanes_do_not_wait_for_each_other(store: Store, outbox: Outbox):
    """Lanes of one instance, and those of others, are handed out side by side."""
    works = [
        new_work("l1"),
        new_work("l2"),
        new_work("a1", lane=LaneKind.APP),
        new_work("o1", key=OTHER),
        new_work("p1", lane=LaneKind.PLATFORM),
    ]
    _put(store, *works)
    taken = [_take(outbox) for _ in range(3)]
    assert {"l1", "a1", "o1"} == {one.state.work.name for one in taken}
    assert [one.more for one in taken] == [True, True, False]
    assert outbox.take(PARTITION, "perform") is None
    assert _take(outbox, "marketplaces").state.work.name == "p1"


def test_the_longest_due_comes_first(store: Store, outbox: Outbox):
    """Of several lanes the one that has been due longest is served first."""
    _put(store, new_work("young"))
    _put(store, new_work("old", key=OTHER))
    store.command("ZADD", DUE, "XX", 1, Lane(OTHER, LaneKind.LIFECYCLE).name)
    assert _names(outbox) == ["old", "young"]


def test_a_lane_has_a_name_that_can_be_read():
    """A lane's name gives the lane back, whatever its instance is called."""
    for key in (KEY, InstanceKey("rebilly", "app", "a|b/c")):
        lane = Lane(key, LaneKind.APP)
        assert lane == Lane.parse(lane.name)


def test_what_is_taken(store: Store, outbox: Outbox):
    """With the work come its number of attempts and when it was first tried."""
    work = new_work("w1")
    _put(store, work)
    taken = _take(outbox)
    assert (work, "running", 1, "") == (
        taken.state.work,
        taken.state.state,
        taken.state.attempts,
        taken.state.error,
    )
    assert (PARTITION, Lane(KEY, LaneKind.LIFECYCLE).name) == (taken.partition, taken.lane)
    assert taken.state.first_at is not None
    assert abs(taken.state.first_at.timestamp() - time.time()) < 5


# Leases and fences


def test_a_lease_is_fifteen_seconds_and_renewed(store: Store, outbox: Outbox):
    """What is handed out is nobody else's for 15 s; a renewal makes that 15 s from then on."""
    _put(store, new_work("w1"))
    taken = _take(outbox)
    assert 15 == LEASE_SECONDS == pytest.approx(_due_in(store, taken.lane), abs=0.5)
    store.command("ZADD", DUE, "XX", int(time.time() * 1000) + 2000, taken.lane)
    assert outbox.renew(taken)
    assert pytest.approx(_due_in(store, taken.lane), abs=0.5) == 15


def test_a_lease_that_ran_out_is_handed_on(store: Store, outbox: Outbox):
    """After its lease the work is handed out again, under a greater number and as an attempt."""
    _put(store, new_work("w1"))
    old = _take(outbox)
    _hurry(store)
    new = _take(outbox)
    assert new.state.work.name == "w1"
    assert new.fence > old.fence
    assert (old.state.attempts, new.state.attempts) == (1, 2)
    assert old.state.first_at == new.state.first_at


def test_an_old_holder_settles_nothing(store: Store, outbox: Outbox):
    """Whoever lost the lane can neither finish, delay, bury nor hold what it had."""
    _put(store, new_work("w1"), new_work("w2"))
    old = _take(outbox)
    _hurry(store)
    new = _take(outbox)
    due_in = _due_in(store, new.lane)
    assert not outbox.renew(old)
    assert not outbox.done(old)
    assert not outbox.later(old, 600, "late")
    assert not outbox.dead(old, "late", "", block=True, now=WHEN)
    assert _dead(store) == []
    assert due_in == pytest.approx(_due_in(store, new.lane), abs=1)
    assert outbox.done(new)
    assert _names(outbox) == ["w2"]


def test_a_holder_that_was_overtaken_by_the_end(store: Store, outbox: Outbox):
    """When the lane has been emptied by another, an old holder still settles nothing."""
    _put(store, new_work("w1"))
    old = _take(outbox)
    _hurry(store)
    assert _names(outbox) == ["w1"]
    assert not outbox.renew(old)
    assert not outbox.done(old)
    _put(store, new_work("w2"))
    assert not outbox.done(old)
    assert _names(outbox) == ["w2"]


def test_settled_once(store: Store, outbox: Outbox):
    """What is done cannot be done again, and the next head is not settled in its place."""
    _put(store, new_work("w1"), new_work("w2"))
    taken = _take(outbox)
    assert outbox.done(taken)
    assert not outbox.done(taken)
    assert not outbox.dead(taken, "no", "", block=True, now=WHEN)
    assert _names(outbox) == ["w2"]


# Again later


def test_later(store: Store, outbox: Outbox):
    """What failed for now is due after its delay, keeps its place and tells its error."""
    _put(store, new_work("w1"), new_work("w2"))
    taken = _take(outbox)
    assert outbox.later(taken, 90.5, "down")
    assert pytest.approx(_due_in(store, taken.lane), abs=0.5) == 90.5
    assert outbox.take(PARTITION, "perform") is None
    state = outbox.states(KEY, ["w1"])["w1"]
    assert (state.state, state.attempts, state.error) == ("later", 1, "down")
    _hurry(store)
    again = _take(outbox)
    assert (again.state.work.name, again.state.attempts) == ("w1", 2)
    assert outbox.later(again, 0, "down")
    assert _take(outbox).state.work.name == "w1"


def test_new_work_hurries_nobody(store: Store, outbox: Outbox):
    """A head that waits for its next try, or is being done, is not due for what comes behind."""
    _put(store, new_work("w1"))
    taken = _take(outbox)
    _put(store, new_work("w2"))
    assert outbox.take(PARTITION, "perform") is None
    outbox.later(taken, 600, "down")
    _put(store, new_work("w3"))
    assert pytest.approx(_due_in(store, taken.lane), abs=1) == 600
    _hurry(store)
    assert _names(outbox) == ["w1", "w2", "w3"]


# Dead


def _bury(store: Store, outbox: Outbox, *, block: bool) -> DeadLetter:
    _put(store, new_work("w1"), new_work("w2"))
    taken = _take(outbox)
    assert outbox.dead(taken, "ValueError: no", "Traceback …", block=block, now=WHEN)
    (letter,) = _dead(store)
    return letter


def test_a_dead_letter_tells_all(store: Store, outbox: Outbox):
    """A dead letter names the work, its instance and cause, and how it failed."""
    letter = _bury(store, outbox, block=False)
    work = outbox.states(KEY, ["w1"])["w1"].work
    assert letter == DeadLetter(
        id=f"{PARTITION}-w1",
        subject=Subject.WORK,
        at=WHEN,
        instance=str(KEY),
        delivery=work.delivery,
        entry=work.entry,
        name="w1",
        error="ValueError: no",
        detail="Traceback …",
        attempts=1,
        work="w1",
        lane=Lane(KEY, LaneKind.LIFECYCLE).name,
        bell="perform",
    )
    assert (
        outbox.states(KEY, ["w1"])["w1"].state,
        outbox.states(KEY, ["w1"])["w1"].error,
    ) == ("dead", "ValueError: no")


def test_dead_letters_stand_at_their_own_time(store: Store, outbox: Outbox):
    """Page by page all dead letters are listed, whatever the clocks of workers and store say."""
    _put(store, *(new_work(f"w{n}") for n in range(4)))
    for seconds in (9, 3, 6, 0):
        when = WHEN + timedelta(seconds=seconds)
        assert outbox.dead(_take(outbox), "no", "", block=False, now=when)
    letters, listed = DeadLetters(store), [WHEN + timedelta(days=1)]
    while page := letters.newest(1, before=(int(listed[-1].timestamp() * 1000), "")):
        listed.append(page[0].at)
    assert [(at - WHEN).total_seconds() for at in listed[1:]] == [9, 6, 3, 0]


def test_a_dead_one_lets_the_lane_go_on(store: Store, outbox: Outbox):
    """With "continue" the next comes at once; the dead one is still kept from trimming."""
    _bury(store, outbox, block=False)
    assert _names(outbox) == ["w2"]
    assert open_work(store) == 1


def test_a_dead_one_blocks_its_lane(store: Store, outbox: Outbox):
    """With "block" the lane waits, also when new work comes; other lanes go on."""
    _bury(store, outbox, block=True)
    _put(store, new_work("w3"), new_work("o1", key=OTHER))
    _hurry(store)
    assert _names(outbox) == ["o1"]


def test_requeued_where_the_lane_went_on(store: Store, outbox: Outbox):
    """A dead one is taken up again at the end of its lane, from its first attempt."""
    letter = _bury(store, outbox, block=False)
    assert outbox.revive(letter, requeue=True)
    second = _take(outbox)
    assert second.state.work.name == "w2"
    assert outbox.done(second)
    again = _take(outbox)
    assert (again.state.work.name, again.state.attempts, again.state.error) == ("w1", 1, "")
    assert again.state.first_at is not None
    assert outbox.done(again)
    assert _dead(store) == []
    assert open_work(store) == 0


def test_requeued_into_an_empty_lane(store: Store, outbox: Outbox):
    """A dead one of a lane that has nothing else is due at once."""
    letter = _bury(store, outbox, block=False)
    assert _names(outbox) == ["w2"]
    assert outbox.revive(letter, requeue=True)
    assert _names(outbox) == ["w1"]


def test_requeued_where_it_blocked(store: Store, outbox: Outbox):
    """The one that blocked comes first again, once, and then the lane goes on."""
    letter = _bury(store, outbox, block=True)
    assert outbox.revive(letter, requeue=True)
    assert _names(outbox) == ["w1", "w2"]


@pytest.mark.parametrize("block", [True, False])
def test_dropped(store: Store, outbox: Outbox, block: bool):
    """A dropped one is never done; the lane goes on; for a while it can be told what it was."""
    letter = _bury(store, outbox, block=block)
    assert outbox.revive(letter, requeue=False)
    assert _names(outbox) == ["w2"]
    assert outbox.states(KEY, ["w1"])["w1"].state == "dropped"
    assert open_work(store) == 0
    assert 0 < store.command("TTL", KEYS.work + "w1") <= KEEP_SECONDS


@pytest.mark.parametrize("requeue", [True, False])
def test_revived_once(store: Store, outbox: Outbox, requeue: bool):
    """A dead letter that is gone cannot be taken up, or dropped, a second time."""
    letter = _bury(store, outbox, block=True)
    assert outbox.revive(letter, requeue=requeue)
    assert not outbox.revive(letter, requeue=True)
    assert not outbox.revive(letter, requeue=False)
    assert (["w1", "w2"] if requeue else ["w2"]) == _names(outbox)


def test_a_dead_one_behind_a_blocked_lane(store: Store, outbox: Outbox):
    """What died before its lane was blocked by another does not unblock it."""
    _put(store, new_work("w1"), new_work("w2"), new_work("w3"))
    assert outbox.dead(_take(outbox), "no", "", block=False, now=WHEN)
    (first,) = _dead(store)
    assert outbox.dead(_take(outbox), "no", "", block=True, now=WHEN)
    assert outbox.revive(first, requeue=True)
    assert _names(outbox) == []
    (second,) = _dead(store)
    assert outbox.revive(second, requeue=False)
    assert _names(outbox) == ["w3", "w1"]


# Leftovers


def test_work_is_done_once_however_often_it_is_asked_for(store: Store, outbox: Outbox):
    """The same work asked for again, while it waits, runs, is delayed, dead or done, is one."""
    _put(store, new_work("w1"), new_work("w1"))
    taken = _take(outbox)
    _put(store, new_work("w1"))
    outbox.later(taken, 0, "down")
    _put(store, new_work("w1"))
    assert outbox.dead(_take(outbox), "no", "", block=False, now=WHEN)
    _put(store, new_work("w1"))
    assert _names(outbox) == []
    assert outbox.revive(_dead(store)[0], requeue=True)
    assert _names(outbox) == ["w1"]
    _put(store, new_work("w1"))
    assert _names(outbox) == []


def test_done_work_can_be_told_for_a_while(store: Store, outbox: Outbox):
    """What was done is told for 30 days; what never was, is not."""
    _put(store, new_work("w1"))
    _names(outbox)
    states = outbox.states(KEY, ["w1", "never"])
    assert {name: state.state for name, state in states.items()} == {"w1": "done"}
    assert KEEP_SECONDS - 5 < store.command("TTL", KEYS.work + "w1") <= KEEP_SECONDS
    assert outbox.states(KEY, []) == {}


@pytest.mark.parametrize("ending", ["done", "continue", "drop blocked", "drop"])
def test_an_emptied_lane_leaves_nothing(store: Store, outbox: Outbox, ending: str):
    """When a lane's last work is settled, nothing of the lane is left to grow over the years."""
    _put(store, new_work("w1"))
    taken = _take(outbox)
    if ending == "done":
        outbox.done(taken)
    else:
        outbox.dead(taken, "no", "", block=ending == "drop blocked", now=WHEN)
        if ending != "continue":
            assert outbox.revive(_dead(store)[0], requeue=False)
    left = {name.decode().removeprefix(KEYS.prefix) for name in store.command("KEYS", "*")}
    expected = {"cursor", "fence", "w:w1"}
    if ending == "continue":
        expected |= {"pins", "dead", "dead:records"}
    assert expected == left


def test_how_lanes_stand(store: Store, outbox: Outbox):
    """Of an instance's lanes it is told how long they are, when they are due and what blocks."""
    assert outbox.lanes(KEY) == {}
    _put(store, new_work("w1"), new_work("w2"), new_work("p1", lane=LaneKind.PLATFORM))
    lanes = outbox.lanes(KEY)
    assert {k: s.length for k, s in lanes.items()} == {LaneKind.LIFECYCLE: 2, LaneKind.PLATFORM: 1}
    assert all(s.due_at and abs(s.due_at.timestamp() - time.time()) < 5 for s in lanes.values())
    assert outbox.dead(_take(outbox), "no", "", block=True, now=WHEN)
    assert outbox.lanes(KEY)[LaneKind.LIFECYCLE] == (2, None, "w1")


# Probing


def test_probe(store: Store, outbox: Outbox, ring: KeyRing):
    """The probe tells of each partition whether entries wait, and for which bell work is due."""
    idle = outbox.probe()
    assert len(idle) == 64
    assert not any(p.behind or any(p.due.values()) for p in idle)
    Log(store, ring).append(new_entry(key=key_in(3)))
    _put(store, new_work("w1"), new_work("p1", lane=LaneKind.PLATFORM, key=OTHER))
    probes = outbox.probe()
    assert [number for number, probe in enumerate(probes) if probe.behind] == [3]
    assert probes[PARTITION].due == {"perform": True, "marketplaces": True}
    taken = _take(outbox)
    assert outbox.probe()[PARTITION].due == {"perform": False, "marketplaces": True}
    _hurry(store)
    assert outbox.probe()[PARTITION].due["perform"]
    assert outbox.done(_take(outbox))
    assert not outbox.done(taken)
    assert not outbox.probe()[PARTITION].due["perform"]


def test_probe_after_a_commit(store: Store, outbox: Outbox, ring: KeyRing):
    """A partition whose cursor is at its end is not behind, also when its log was emptied."""
    log = Log(store, ring)
    log.append(new_entry())
    place = log.read(PARTITION).entries[0].stream_id
    assert Commit(PARTITION, "0-0").run(store, place)
    assert not outbox.probe()[PARTITION].behind
    assert trim(store) == 1
    assert not outbox.probe()[PARTITION].behind
