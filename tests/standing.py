"""How the store stands, as tests ask it: what operators are shown, and a log's newest entries."""

from __future__ import annotations

from innkeeper.store.connection import Store
from innkeeper.store.entry import Entry
from innkeeper.store.log import Log
from innkeeper.store.standing import Standing, read_standing, standing_commands


def standing_of(store: Store) -> Standing:
    """The sums over all partitions."""
    return read_standing(store.batch(standing_commands()))


def open_work(store: Store) -> int:
    """How many pieces of work are unfinished, or dead."""
    standing = standing_of(store)
    return standing.work + standing.dead_letters


def newest(log: Log, partition: int, *, before: str = "+", limit: int = 200) -> list[Entry]:
    """Entries of a partition without their encrypted parts, newest first, from a stream id on."""
    return log.slices({partition: before}, limit=limit)[0]
