"""The commit script: two on one cursor, and broken off before each of its commands."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from innkeeper.lifecycle.instance import Status
from innkeeper.store.commit import Commit
from innkeeper.store.connection import Store
from innkeeper.store.dead_letters import DeadLetter, Subject
from innkeeper.store.entry import new_delivery_id
from innkeeper.store.errors import StoreError
from innkeeper.store.keys import keys_of
from tests.store.crashing import crash_points
from tests.store.making import (
    NOW,
    PARTITION,
    contents,
    cursor_of,
    instance_of,
    key_in,
    new_work,
    transition,
)

KEYS = keys_of(PARTITION)
BEGIN, END = "1790000000000-0", "1790000000001-0"


class Recorded(Store):
    """A store that keeps the last call to a script."""

    def command(self, *command):
        if command[0] == "EVALSHA":
            self.last = command
        return super().command(*command)


def _full(cursor: str, status: Status = Status.ENABLED) -> Commit:
    """A commit with every sort of change."""
    commit, key = Commit(PARTITION, cursor), key_in()
    commit.instance(None, instance_of(key, status))
    commit.secrets(key, {"gone"}, {"kept": b"sealed"})
    commit.happening(key, transition(1))
    commit.happening(key, transition(0))
    commit.work(new_work("w1"))
    commit.outcome(new_delivery_id(key), "applied")
    letter = new_delivery_id(key)
    commit.dead_letter(
        DeadLetter(
            id=letter,
            subject=Subject.ENTRY,
            at=datetime.fromtimestamp(NOW, UTC),
            instance=str(key),
            delivery=letter,
            entry=BEGIN,
            name="entry",
            error="no",
        )
    )
    return commit


def test_a_moved_cursor_writes_nothing(store: Store):
    """A commit whose batch was read at another cursor is refused, and leaves no trace."""
    store.command("SET", KEYS.cursor, BEGIN)
    before = contents(store)
    assert not _full("0-0").run(store, END)
    assert not _full(END).run(store, END)
    assert before == contents(store)


def test_the_first_batch_begins_at_the_beginning(store: Store):
    """A partition without a cursor has the cursor 0-0, and the commit moves it."""
    assert _full("0-0").run(store, END)
    assert cursor_of(store) == END
    assert not _full("0-0").run(store, END)


def test_two_workers_on_one_cursor(store: Store, valkey_url: str):
    """Of two that commit the same batch at the same moment one wins, and only its work stands."""
    names = [f"w{n}" for n in range(8)]

    def run(name: str) -> bool:
        with contextlib.closing(Store(valkey_url)) as own:
            commit = Commit(PARTITION, "0-0")
            commit.work(new_work(name))
            return commit.run(own, END)

    with ThreadPoolExecutor(len(names)) as pool:
        won = [name for name, result in zip(names, pool.map(run, names), strict=True) if result]
    assert len(won) == 1
    (queue,) = store.command("KEYS", KEYS.queue.replace("{", "\\{") + "*")
    assert [won[0].encode()] == store.command("LRANGE", queue, 0, -1)


def test_broken_off_before_the_first_write(store: Store, valkey_url: str):
    """What fails before the first write leaves the store as it was; what fails at all leaves the
    cursor, so that the batch is folded again."""
    with contextlib.closing(Recorded(valkey_url)) as recorded:
        assert _full("0-0").run(recorded, END)
        command = recorded.last
    store.command("FLUSHALL")
    untouched = points = 0
    for n in crash_points(store, "commit", command):
        points = n
        assert cursor_of(store) == "0-0", n
        untouched += not store.command("DBSIZE")
        store.command("FLUSHALL")
    # GET of the cursor, TIME, the first HSET.
    assert untouched == 4
    assert points > 20


def test_a_full_store_takes_no_commit(store: Store):
    """With no memory left a commit is an error and leaves nothing."""
    store.command("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreError, match="maxmemory"):
            _full("0-0").run(store, END)
        assert contents(store) == {}
    finally:
        store.command("CONFIG", "SET", "maxmemory", "0")
    assert _full("0-0").run(store, END)


def test_a_batch_folded_again_asks_for_the_same_work(store: Store):
    """Work that stands already, in whatever state, is not put in again by a repeated fold."""
    for cursor in ("0-0", END):
        commit = Commit(PARTITION, cursor)
        commit.work(new_work("w1"))
        assert commit.run(store, END)
    (queue,) = store.command("KEYS", KEYS.queue.replace("{", "\\{") + "*")
    assert store.command("LRANGE", queue, 0, -1) == [b"w1"]
