"""Forgetting an instance: nothing of it is left, nothing else goes, and it may come back as new."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from innkeeper.bells import BellName
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.operations import forgetting
from innkeeper.operations.forgetting import (
    CannotForget,
    Forgotten,
    Known,
    NotYetForgotten,
    forget,
    known,
    tombstone,
)
from innkeeper.operations.operator_entries import append_by_operator
from innkeeper.store.connection import Store
from innkeeper.store.erasing import MOST_WORKS, Erasing
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, partition_of
from innkeeper.store.passes import Drift, PassState
from innkeeper_workers import apply
from innkeeper_workers.folding import Folding
from tests.inn import Inn, app_event, brings_secrets, key_of, rebilly, signed, states
from tests.levers import applied_meanwhile
from tests.standing import newest, open_work, standing_of
from tests.store.making import begin, contents, finish, new_work

GONE, STAYS = "leaving-customer", "staying-customer"
KEY = key_of(GONE)
FORGOTTEN = Event(type="instance.forgotten", kind=EventKind.FORGOTTEN)


def neighbour() -> str:
    """A customer in the same partition as the one who leaves."""
    numbers = (f"{STAYS}-{n}" for n in range(10_000))
    return next(name for name in numbers if partition_of(key_of(name)) == partition_of(KEY))


def everything(store: Store) -> dict[bytes, str]:
    """All that the store holds, in clear, by key. A DUMP may be compressed."""
    ways = {
        b"string": ("GET", "{}"), b"hash": ("HGETALL", "{}"), b"set": ("SMEMBERS", "{}"),
        b"list": ("LRANGE", "{}", 0, -1), b"zset": ("ZRANGE", "{}", 0, -1, "WITHSCORES"),
        b"stream": ("XRANGE", "{}", "-", "+"),
    }  # fmt: skip
    found = {}
    for name in store.command("KEYS", "*"):
        command, _, *more = ways[store.command("TYPE", name)]
        found[name] = repr(store.command(command, name, *more))
    return found


def traces(store: Store, *words: str) -> dict[bytes, str]:
    """The keys in which one of the words stands."""
    return {
        name: value
        for name, value in everything(store).items()
        if any(word in value or word in name.decode() for word in words)
    }


def forget_it(inn: Inn, key: InstanceKey = KEY) -> Forgotten:
    """Forget, with a worker."""
    with applied_meanwhile(inn):
        return forget(inn.desk, key)


def live(inn: Inn, account: str) -> None:
    """Everything that an instance may leave: secrets, a policy, history, work done and undone, dead
    letters of work, a handshake of its own, refusals."""
    inn.post(states(account))
    inn.post(brings_secrets(account, owner="acme", secret=f"canary-of-{account}"))
    inn.apply()
    inn.perform()
    inn.post(states(account, suspended=True))
    inn.post(app_event(account))
    inn.apply()
    inn.perform()
    inn.post(states(account, suspended=False))
    inn.apply()
    inn.refuse(states_by_a_stranger(account))


def states_by_a_stranger(account: str):
    """A delivery that is refused, for its signature is not the provider's."""
    payload = {
        "audit_line_id": 1,
        "app_offering": {"reference": "notes"},
        "customer_account_id": account,
        "disabled": False,
    }
    data = {"event": "app_instance.update", "object_id": "7", "payload": payload}
    return signed(data, owner="stranger")


def balanced(inn: Inn) -> bool:
    """Whether what was accepted is still there, or counted as forgotten; bytes included."""
    counts, store = standing_of(inn.desk.store).counts, inn.desk.store
    entries = size = 0
    for partition in PARTITIONS:
        keys = keys_of(partition)
        for _, fields in store.command("XRANGE", keys.log, "-", "+"):
            entries += 1
            size += sum(len(part) for pair in fields.items() for part in pair)
            for name in (keys.events, keys.bodies):
                size += len(store.command("HGET", name, fields[b"id"]))
    gone = counts.get("forgotten", 0)
    return (counts["accepted"] - gone, counts["bytes"]) == (entries, size)


def test_nothing_is_left(inn: Inn):
    """No key and no value in the store names the customer any more, what it held in secret is gone
    as well, and all of the neighbour in the same partition is as it was."""
    other = neighbour()
    for account in (GONE, other):
        live(inn, account)
    before = traces(inn.desk.store, other)
    assert len(traces(inn.desk.store, GONE)) > 10
    forgotten = forget_it(inn)
    assert (forgotten.entries, forgotten.refused) == (6, 1)
    assert traces(inn.desk.store, GONE) == {}
    after = traces(inn.desk.store, other)
    assert set(after) == set(before)
    shared = {name for name in before if other.encode() not in name and b":w:" not in name}
    assert {n: v for n, v in after.items() if n not in shared} == {
        n: v for n, v in before.items() if n not in shared
    }
    for account, kept in ((GONE, 0), (other, 5)):
        assert standing_of(inn.desk.store).counts["forgotten"] == 6
        letters = inn.desk.dead_letters.newest(100)
        assert sum(account in letter.instance for letter in letters) == bool(kept)
        entries = newest(inn.desk.log, partition_of(KEY), limit=100)
        assert sum(entry.instance == key_of(account) for entry in entries) == kept
    assert open_work(inn.desk.store) == 1
    assert len(inn.desk.rejected.all(now=0.0)) == 1
    assert balanced(inn)


def test_a_tombstone_is_left(inn: Inn):
    """It says when, and how many entries went; whose it is can be told by who knows the name."""
    inn.states(GONE)
    before = datetime.now(UTC)
    forget_it(inn)
    left = tombstone(inn.desk, KEY)
    assert left is not None
    assert before <= left.at <= datetime.now(UTC)
    assert left.entries == 2
    assert tombstone(inn.desk, key_of(STAYS)) is None
    inn.states(GONE)
    forget_it(inn)
    again = tombstone(inn.desk, KEY)
    assert again is not None
    assert (again.entries, again.at > left.at) == (4, True)


def test_it_comes_back_as_another(inn: Inn):
    """A later delivery makes a new instance, without anything of the old one."""
    live(inn, GONE)
    forget_it(inn)
    inn.states(GONE)
    line = inn.desk.register.line(KEY)
    assert line is not None
    assert (line.instance.version, line.instance.secrets, line.instance.policy) == (1, {}, None)
    names = [str(one.name) for one in inn.desk.register.transitions(KEY)]
    assert names == ["installed", "enabled"]
    assert [str(key) for key in next(inn.desk.register.of_app("xurrent", "notes"))] == [str(KEY)]
    assert inn.desk.register.with_policy() == []
    assert balanced(inn)


def test_before_and_after_in_one_batch(inn: Inn):
    """What stands before it in the batch is deleted with the rest, what comes after is new."""
    inn.states(GONE)
    inn.post(brings_secrets(GONE))
    inn.post(states(GONE, suspended=True))
    append_by_operator(inn.desk, KEY, FORGOTTEN)
    inn.post(states(GONE, enabled_by_customer=True))
    inn.apply()
    line = inn.desk.register.line(KEY)
    assert line is not None
    assert (line.instance.status, line.instance.secrets) == (Status.ENABLED, {})
    history = inn.desk.register.transitions(KEY)
    assert [str(one.name) for one in history] == ["installed", "enabled"]
    assert inn.desk.register.notices(KEY) == []
    assert inn.desk.register.sealed_secrets([KEY]) == [{}]
    ids = {id_ for one in history for id_ in one.follow_ups.values()}
    pins = inn.desk.store.command("ZRANGE", keys_of(partition_of(KEY)).pins, 0, -1)
    assert {pin.decode() for pin in pins} == ids


def test_work_that_runs_loses_its_lease(inn: Inn):
    """Whoever is at a follow-up settles nothing, though the instance has come back meanwhile."""
    inn.states(GONE)
    taken = inn.desk.outbox.take(partition_of(KEY), BellName.PERFORM)
    assert taken is not None
    append_by_operator(inn.desk, KEY, FORGOTTEN)
    inn.states(GONE)
    assert not inn.desk.outbox.renew(taken)
    assert not inn.desk.outbox.done(taken)
    again = inn.desk.outbox.take(partition_of(KEY), BellName.PERFORM)
    assert again is not None
    assert inn.desk.outbox.done(again)


def test_nothing_is_purged_before_it_is_applied(inn: Inn, monkeypatch: pytest.MonkeyPatch):
    """Without a worker it is given up in time, and asked for again it is done."""
    monkeypatch.setattr(forgetting, "WAIT_SECONDS", 0.1)
    inn.states(GONE)
    with pytest.raises(NotYetForgotten):
        forget(inn.desk, KEY)
    assert known(inn.desk, KEY) == Known(status=Status.ENABLED)
    assert len(newest(inn.desk.log, partition_of(KEY))) == 2
    inn.apply()
    assert known(inn.desk, KEY) == Known(status=None)
    monkeypatch.undo()
    assert forget_it(inn).entries == 3
    assert known(inn.desk, KEY) is None
    assert traces(inn.desk.store, GONE) == {}


def test_what_apply_cannot_delete_is_not_purged(inn: Inn, monkeypatch: pytest.MonkeyPatch):
    """Where the entry becomes a dead letter, the instance keeps its log, and that is said."""
    inn.states(GONE)
    partition = partition_of(KEY)
    inn.desk.store.command("RPUSH", keys_of(partition).transitions + str(KEY), "damaged")
    kept = len(newest(inn.desk.log, partition))
    monkeypatch.setattr(apply, "_TRY_AGAIN_SECONDS", 0.0)
    with applied_meanwhile(inn), pytest.raises(CannotForget):
        forget(inn.desk, KEY)
    assert inn.desk.register.line(KEY) is not None
    assert len(newest(inn.desk.log, partition)) == kept + 1


def test_work_given_up_at_the_last_moment_leaves_no_letter(inn: Inn):
    """A dead letter of its work goes with it, though it came when all that stands was read."""
    inn.states(GONE)
    partition = partition_of(KEY)
    append_by_operator(inn.desk, KEY, FORGOTTEN)
    batch = inn.desk.log.read(partition)
    folding = Folding(inn.desk, partition, batch.cursor, batch.entries)
    folding.take(batch.entries[0])
    taken = inn.desk.outbox.take(partition, BellName.PERFORM)
    assert taken is not None
    assert inn.desk.outbox.dead(taken, GONE, "", block=False, now=datetime.now(UTC))
    folding.finish()
    assert folding.commit.run(inn.desk.store, batch.entries[-1].stream_id)
    assert inn.desk.dead_letters.newest(10) == []
    assert open_work(inn.desk.store) == 0


def test_a_purge_that_broke_off_goes_on(inn: Inn):
    """The oldest entries go first, and the one that says it is forgotten last: what is left folds
    to the same, and asking again finds it."""
    inn.states(GONE)
    inn.post(states(GONE, suspended=True))
    append_by_operator(inn.desk, KEY, FORGOTTEN)
    inn.apply()
    keys = keys_of(partition_of(KEY))
    (first, fields), *_ = inn.desk.store.command("XRANGE", keys.log, "-", "+")
    erasing = Erasing(inn.desk.store, inn.desk.log, inn.desk.digests, KEY)
    assert erasing.entries(first.decode(), at=datetime.now(UTC)) == 1
    assert fields[b"id"] not in inn.desk.store.command("HKEYS", keys.events)
    assert known(inn.desk, KEY) == Known(status=None)
    assert balanced(inn)
    assert forget_it(inn).entries == 3
    left = tombstone(inn.desk, KEY)
    assert left is not None
    assert left.entries == 4
    assert balanced(inn)


def test_a_worker_that_was_overtaken_deletes_nothing(inn: Inn):
    """All of it is one write with the cursor."""
    live(inn, GONE)
    append_by_operator(inn.desk, KEY, FORGOTTEN)
    partition = partition_of(KEY)
    batch = inn.desk.log.read(partition)
    folding = Folding(inn.desk, partition, "1-1", batch.entries)
    for entry in batch.entries:
        folding.take(entry)
    folding.finish()
    before = contents(inn.desk.store)
    assert not folding.commit.run(inn.desk.store, batch.entries[-1].stream_id)
    assert contents(inn.desk.store) == before


def test_of_very_much_work_nothing_is_left(inn: Inn):
    """What is too much for one script is deleted afterwards, so that nothing is pinned for ever."""
    inn.states(GONE)
    partition = partition_of(KEY)
    commit, entry = begin(inn.desk.store, partition), newest(inn.desk.log, partition)[0]
    for number in range(MOST_WORKS + 199):
        commit.work(new_work(f"w{number}", key=KEY, entry=entry.stream_id))
    finish(inn.desk.store, commit)
    assert open_work(inn.desk.store) == MOST_WORKS + 200
    assert forget_it(inn).works == 200
    assert open_work(inn.desk.store) == 0
    assert traces(inn.desk.store, GONE) == {}


def test_what_a_pass_told_of_it_goes(inn: Inn):
    """The list of customers without secrets no longer names it; others stay on it."""
    inn.states(GONE)
    app, now = InstanceKey.pseudo("xurrent", "notes"), datetime.now(UTC)
    drift = Drift(number=1, started_at=now, secrets_missing={str(KEY): now, "xurrent/notes/b": now})
    inn.desk.passes.set(app, PassState(adopted=True, drift=drift))
    forget_it(inn)
    (state,) = inn.desk.passes.states([app])
    assert state == PassState(
        adopted=True, drift=replace(drift, secrets_missing={"xurrent/notes/b": now})
    )


def test_nothing_is_known_of_who_never_came(inn: Inn):
    """Neither a line nor an entry; the entries of others are none."""
    inn.states(STAYS)
    assert known(inn.desk, KEY) is None
    assert known(inn.desk, key_of(STAYS)) == Known(status=Status.ENABLED)


def test_an_instance_without_a_line_is_forgotten_too(inn: Inn):
    """Entries may tell of a customer whose instance was never made."""
    inn.post(rebilly("disabled"))
    inn.apply()
    key = InstanceKey("rebilly", "tides", "org-1")
    assert known(inn.desk, key) is not None
    assert forget_it(inn, key).entries == 2
    assert traces(inn.desk.store, "org-1") == {}
