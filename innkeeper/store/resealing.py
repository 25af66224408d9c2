"""Seals anew whatever the store holds under another key than the ring's first, slice by slice.

Used by the rotation of keys, beside live traffic: a value is exchanged only if it is still the one
that was read, and whatever else has changed meanwhile is left to the next pass.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.secrets import HEAD_BYTES, Damaged, KeyRing, MissingKey
from innkeeper.store.connection import Command, Store, script
from innkeeper.store.digests import DIGEST_KEY_PLACE
from innkeeper.store.entry import BODY, EVENT, delivery_id
from innkeeper.store.keys import DIGEST_KEY, TOKENS, keys_of
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.register import names_in, secret_place
from innkeeper.store.rejected import PURPOSE

_Place = tuple[str, int, str]
_EVENTS, _BODIES, _INSTANCES, _NAMES = 100, 10, 200, 1000
"""How many are looked at in one round trip."""
_MOST_BYTES = 256 << 10
"""How much is exchanged in one script, as long as it is more than one value."""
_MOST_VALUES = 64
_RING_TRIES = 5
_RING_SECONDS = 3600


class Resealing:
    """One pass over the store. `resealed`, `changed`: by what they are; `missing`: by key id.

    `changed`: what was found under another key and is another value by now. `missing`: what is
    sealed with keys that are not in the ring. `damaged`: what no key opens.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        """Seal with the first key of `ring`, which must not change meanwhile."""
        self._store = store
        self._ring = ring
        self.resealed: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.damaged = 0

    @property
    def found(self) -> int:
        """How many values were under another key of the ring."""
        return self.resealed.total() + self.changed.total()

    def run(self) -> Iterator[int]:
        """Go through everything; gives each partition when it is done.

        Raises StoreError, StoreUnavailable.
        """
        self._digest_key()
        self._drop_tokens()
        for partition in PARTITIONS:
            keys = keys_of(partition)
            for purpose, name, count in (
                (EVENT, keys.events, _EVENTS),
                (BODY, keys.bodies, _BODIES),
            ):
                self._deliveries(purpose, partition, name, count)
            self._secrets(partition)
            for ring in self._store.command("SMEMBERS", keys.rejected_rings):
                self._refused(partition, keys.rejected + ring.decode())
            yield partition

    def _digest_key(self) -> None:
        sealed = self._store.command("GET", DIGEST_KEY)
        anew = self._anew(DIGEST_KEY_PLACE, sealed) if sealed else None
        if sealed and anew:
            self._exchange("digest_key", DIGEST_KEY, [(b"", sealed, anew)])

    def _drop_tokens(self) -> None:
        """A token is worth nothing but a sign-in: one under another key goes."""
        for names in self._store.scan(match=f"{TOKENS}*", count=_NAMES):
            held = [name for name in names if not name.endswith((b":lease", b":attempts"))]
            values = self._store.batch([("GET", name) for name in held]) if held else []
            for name, sealed in zip(held, values, strict=True):
                if sealed is not None and not self._ring.is_current(sealed):
                    self._store.command(*script("yield").call([name.decode()], [sealed]))
                    self.resealed["tokens"] += 1

    def _deliveries(self, purpose: str, partition: int, name: str, count: int) -> None:
        def place_of(field: bytes) -> _Place:
            return purpose, partition, delivery_id(partition, field)

        for values in self._store.scan(name, count=count):
            self._fields("events" if purpose == EVENT else "bodies", name, values, place_of)

    def _secrets(self, partition: int) -> None:
        prefix = keys_of(partition).secrets
        for members in names_in(self._store, partition, limit=_INSTANCES):
            names = [prefix + member for member in members]
            answers = self._store.batch([("HGETALL", name) for name in names])
            for member, name, values in zip(members, names, answers, strict=True):
                self._fields("secrets", name, values, _secret_places(InstanceKey.parse(member)))

    def _fields(
        self, kind: str, name: str, values: dict[bytes, bytes], place_of: Callable[[bytes], _Place]
    ) -> None:
        """Look at fields of a hash, and exchange what has to be."""
        found = []
        for field, sealed in values.items():
            anew = self._anew(place_of(field), sealed)
            if anew is not None:
                found.append((field, sealed, anew))
        self._exchange(kind, name, found)

    def _exchange(self, kind: str, name: str, found: list[tuple[bytes, bytes, bytes]]) -> None:
        for piece in _pieces(found):
            parts: list[Any] = []
            for field, sealed, anew in piece:
                parts += field, sealed[:HEAD_BYTES], anew
            done = int(self._store.command(*script("reseal").call([name], parts)))
            self.resealed[kind] += done
            self.changed[kind] += len(piece) - done

    def _refused(self, partition: int, name: str) -> None:
        """Seal a ring anew as a whole: a stream's entries cannot be changed one by one."""
        for _ in range(_RING_TRIES):
            # In this order: what comes in between the two shows when the rings are exchanged.
            known = self._store.command("XINFO STREAM", name)
            entries = self._store.command("XRANGE", name, "-", "+")
            stale = 0
            rows = []
            for stream_id, fields in entries:
                place = (PURPOSE, partition, fields[b"id"].decode())
                anew = self._anew(place, fields[b"sealed"])
                stale += anew is not None
                rows.append((stream_id, fields[b"id"], anew or fields[b"sealed"]))
            if not stale:
                return
            if self._put_ring(partition, name, rows, known):
                self.resealed["refused"] += stale
                return
        self.changed["refused"] += stale

    def _put_ring(
        self, partition: int, name: str, rows: list[tuple[bytes, bytes, bytes]], known: Any
    ) -> bool:
        beside = f"{keys_of(partition).rejected}new:{uuid.uuid4()}"
        for piece in _pieces(rows):
            calls: list[Command] = [
                ("XADD", beside, stream_id, "id", refusal, "sealed", sealed)
                for stream_id, refusal, sealed in piece
            ]
            self._store.batch([*calls, ("EXPIRE", beside, _RING_SECONDS)])
        arguments = [known["length"], known["last-generated-id"]]
        return bool(self._store.command(*script("reseal_ring").call([name, beside], arguments)))

    def _anew(self, place: _Place, sealed: bytes) -> bytes | None:
        """A value under the first key; None where it is so already, or cannot be opened."""
        try:
            return self._ring.reseal(*place, sealed, now=time.time())
        except MissingKey:
            self.missing[sealed[1:5].hex()] += 1
        except Damaged:
            self.damaged += 1
        return None


def _secret_places(key: InstanceKey) -> Callable[[bytes], _Place]:
    """Where the values of an instance's hash of secrets were sealed."""
    return lambda field: secret_place(key, field.decode().rpartition("\n")[0])


def _pieces(
    found: Iterable[tuple[bytes, bytes, bytes]],
) -> Iterator[list[tuple[bytes, bytes, bytes]]]:
    """What is not too much for one call; of what is large, each alone."""
    piece: list[tuple[bytes, bytes, bytes]] = []
    size = 0
    for one in found:
        if piece and (len(piece) == _MOST_VALUES or size + len(one[2]) > _MOST_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += len(one[2])
    if piece:
        yield piece
