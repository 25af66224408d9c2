"""Base records: what the trimmed entries of an instance come to, while the log holds newer ones.

Written by trimming, together with the dropping of the entries, and by `commit.lua`, which copies
the line of an instance whose entries have all gone before it changes. Read by `rebuild`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.instance import Instance
from innkeeper.store.connection import Store, script
from innkeeper.store.entry import Entry, read_entry
from innkeeper.store.keys import keys_of

_MOST_ENTRIES = 100
_MOST_BYTES = 8 << 20
_PIECE = 500
_UNCHECKED = b"!"
_instances = msgspec.json.Decoder(Instance)
_encode = msgspec.json.Encoder(order="deterministic").encode


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What trimmed entries leave: an instance, or none; `unchecked`: why that cannot be told."""

    instance: Instance | None = None
    unchecked: str = ""


class Oldest(NamedTuple):
    """A log's oldest entries that may go, with sealed events, and the bases of their instances.

    `made`: when the instances' lines were made, as the store has it.
    """

    entries: list[Entry]
    bases: dict[InstanceKey, Base]
    made: dict[InstanceKey, bytes]


class Bases:
    """Reads and writes base records. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store

    def all(self, partition: int) -> Iterator[tuple[str, Base]]:
        """Those of a partition by instance; one that changes meanwhile may come twice."""
        for found in self._store.scan(keys_of(partition).base, count=_PIECE):
            for name, value in found.items():
                yield name.decode(), read_base(value)

    def oldest(self, partition: int, *, before_millis: int, most_bytes: int) -> Oldest:
        """What may go: folded, and from before a time or beyond `most_bytes` of the log."""
        keys = keys_of(partition)
        call = script("oldest").call(
            [
                keys.log, keys.cursor, keys.pins, keys.counts,
                keys.outcomes, keys.events, keys.bodies, keys.base, keys.instance,
            ],
            [before_millis, most_bytes, _MOST_ENTRIES, _MOST_BYTES],
        )  # fmt: skip
        found, about = self._store.command(*call)
        entries = [
            read_entry(partition, stream_id, values, sealed=event, outcome=outcome.decode())
            for stream_id, event, outcome, *values in found
        ]
        keys_about = [InstanceKey.parse(name.decode()) for name in about[::3]]
        bases = {k: read_base(v) for k, v in zip(keys_about, about[1::3], strict=True) if v}
        return Oldest(entries, bases, dict(zip(keys_about, about[2::3], strict=True)))

    def drop(self, partition: int, oldest: Oldest, left: Mapping[InstanceKey, Base]) -> int:
        """Drop the log's `oldest` entries and write what they have `left`; how many went.

        None, where the log no longer begins with them, or one of them is needed by now.
        """
        keys = keys_of(partition)
        ids = [entry.stream_id for entry in oldest.entries]
        arguments: list[str | bytes | int] = [len(ids), *ids]
        for key, base in left.items():
            arguments += str(key), _written(base), oldest.made[key]
        call = script("trim").call(
            [
                keys.log, keys.pins, keys.counts, keys.outcomes,
                keys.events, keys.bodies, keys.base, keys.instance,
            ],
            arguments,
        )  # fmt: skip
        return int(self._store.command(*call))


def read_base(value: bytes) -> Base:
    """A base record as it is stored."""
    if value.startswith(_UNCHECKED):
        return Base(unchecked=value[1:].decode())
    try:
        return Base(instance=_instances.decode(value))
    except msgspec.DecodeError as error:
        return Base(unchecked=f"its base cannot be read: {error}")


def _written(base: Base) -> bytes:
    if base.unchecked:
        return _UNCHECKED + base.unchecked.encode()
    return _encode(base.instance) if base.instance is not None else b""
