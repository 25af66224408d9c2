"""What stands in a partition's way: an entry that cannot be folded, or a reason to stop."""

from __future__ import annotations

import msgspec

from innkeeper.store.connection import Store
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """`entry` failed `tries` times in a row; `row` entries before it became dead letters with none
    between. `stopped`: why the partition waits. `next_try`: seconds since the epoch."""

    entry: str = ""
    tries: int = 0
    row: int = 0
    stopped: str = ""
    error: str = ""
    next_try: float = 0.0


class Troubles:
    """Reads and writes partitions' troubles. Raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store

    def all(self) -> dict[int, Trouble]:
        """The partitions that have any."""
        answers = self._store.batch([("GET", keys_of(p).trouble) for p in PARTITIONS])
        found = zip(PARTITIONS, answers, strict=True)
        return {p: msgspec.json.decode(answer, type=Trouble) for p, answer in found if answer}

    def set(self, partition: int, trouble: Trouble) -> None:
        """Note a partition's trouble."""
        self._store.command("SET", keys_of(partition).trouble, msgspec.json.encode(trouble))

    def clear(self, partition: int) -> None:
        """Forget a partition's trouble."""
        self._store.command("DEL", keys_of(partition).trouble)
