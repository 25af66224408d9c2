"""The store's layout and its epoch."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreRefused
from innkeeper.store.keys import EPOCH, SCHEMA
from innkeeper.store.schema import MIGRATIONS, epoch_of, prepare
from tests.store.making import contents


def _layout(store: Store) -> int:
    return int(store.command("GET", SCHEMA) or 0)


def _note(name: str):
    """A migration that leaves its name in the store."""

    def migrate(store: Store) -> None:
        store.command("RPUSH", "migrated", name)

    return migrate


def _migrated(store: Store) -> list[bytes]:
    found: list[bytes] = store.command("LRANGE", "migrated", 0, -1)
    return found


def test_a_fresh_store(store: Store):
    """An empty store gets the present layout and an epoch, and no lock is left."""
    assert epoch_of(store) is None
    epoch = prepare(store)
    assert epoch
    assert epoch == epoch_of(store)
    assert len(MIGRATIONS) == _layout(store)
    assert {SCHEMA.encode(), EPOCH.encode()} == set(contents(store))


def test_prepared_again(store: Store):
    """A store that has the layout already keeps it, and its epoch; nothing is written."""
    epoch, before = prepare(store), contents(store)
    assert epoch == prepare(store)
    assert before == contents(store)


def test_a_newer_layout_is_refused(store: Store):
    """A store that a newer Innkeeper wrote is refused, with both numbers, and left alone."""
    prepare(store)
    store.command("SET", SCHEMA, len(MIGRATIONS) + 1)
    before = contents(store)
    ours = len(MIGRATIONS)
    with pytest.raises(StoreRefused, match=f"layout {ours + 1}.*knows {ours}"):
        prepare(store)
    assert before == contents(store)


def test_an_older_layout_is_migrated(store: Store):
    """Only the migrations that a store has not seen are run, in their order."""
    epoch = prepare(store)
    migrations = (*MIGRATIONS, _note("second"), _note("third"))
    assert epoch == prepare(store, migrations)
    assert _migrated(store) == [b"second", b"third"]
    assert epoch == prepare(store, (*migrations, _note("fourth")))
    assert _migrated(store) == [b"second", b"third", b"fourth"]
    assert len(MIGRATIONS) + 3 == _layout(store)


def test_a_migration_that_fails(store: Store):
    """A migration that fails is not counted, and is run anew by the next who comes."""
    prepare(store)
    failing = [True]

    def migrate(migrated: Store) -> None:
        migrated.command("RPUSH", "migrated", "half")
        if failing.pop():
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        prepare(store, (*MIGRATIONS, migrate))
    assert len(MIGRATIONS) == _layout(store)
    failing.append(False)
    prepare(store, (*MIGRATIONS, migrate))
    assert len(MIGRATIONS) + 1 == _layout(store)
    assert _migrated(store) == [b"half", b"half"]


def test_several_at_once(store: Store, valkey_url: str):
    """Services that start at the same moment run each migration once, and agree on the epoch."""

    def slow(migrated: Store) -> None:
        time.sleep(0.1)
        _note("slow")(migrated)

    def start(_: int) -> str:
        with contextlib.closing(Store(valkey_url)) as own:
            return prepare(own, (*MIGRATIONS, slow, _note("quick")))

    with ThreadPoolExecutor(6) as pool:
        epochs = set(pool.map(start, range(6)))
    assert {epoch_of(store)} == epochs
    assert _migrated(store) == [b"slow", b"quick"]


def test_a_wiped_store_has_another_epoch(store: Store):
    """After FLUSHALL there is no epoch, and the one that is made then is another."""
    epoch = prepare(store)
    store.command("FLUSHALL")
    assert epoch_of(store) is None
    again = prepare(store)
    assert again
    assert epoch != again
