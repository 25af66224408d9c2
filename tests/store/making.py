"""Makes what is stored in tests: instances of chosen partitions, entries, transitions, work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.transitions import Happening, Transition
from innkeeper.secrets import KeyRing
from innkeeper.store.bases import Bases
from innkeeper.store.commit import Commit
from innkeeper.store.connection import Store
from innkeeper.store.entry import Captured, NewEntry, new_delivery_id
from innkeeper.store.keys import keys_of
from innkeeper.store.log import Appended, append_command, prepare, read_appended
from innkeeper.store.outbox import LaneKind, Work, WorkKind
from innkeeper.store.partitions import partition_of

NOW = 1_790_000_000.0
"""The receiver's clock in these tests; the server has its own."""
PARTITION = 7


@lru_cache(maxsize=4096)
def key_in(partition: int = PARTITION, number: int = 0) -> InstanceKey:
    """The `number`-th instance of a partition."""
    found, account = -1, 0
    while True:
        key = InstanceKey("xurrent", "app", f"account{account}")
        found += partition_of(key) == partition
        if found == number:
            return key
        account += 1


def keys_in(partition: int, count: int) -> list[InstanceKey]:
    """The first `count` instances of a partition."""
    found: list[InstanceKey] = []
    account = 0
    while len(found) < count:
        key = InstanceKey("xurrent", "app", f"account{account}")
        if partition_of(key) == partition:
            found.append(key)
        account += 1
    return found


def claim(name: str) -> bytes:
    """A claim, as platforms make them: 12 bytes."""
    return hashlib.sha256(name.encode()).digest()[:12]


def new_entry(*claims: str, key: InstanceKey | None = None, **more: Any) -> NewEntry:
    """A delivery with these claims, under an id of its own."""
    key = key or key_in()
    given: dict[str, Any] = {
        "delivery": new_delivery_id(key),
        "at": NOW,
        "event": Event(type="app_instance.update", kind=EventKind.STATED),
        "signer": "fingerprint",
        "captured": Captured(app="app", body=b"{}"),
    }
    return NewEntry(instance=key, claims=tuple(map(claim, claims)), **(given | more))


def append_all(store: Store, ring: KeyRing, entries: Sequence[NewEntry]) -> list[Appended]:
    """Append entries of one partition in one call."""
    prepared = [prepare(entry, ring) for entry in entries]
    return read_appended(prepared, store.command(*append_command(prepared)))


def logged(store: Store, partition: int = PARTITION) -> list[bytes]:
    """The own ids of all entries of a partition's log, in its order."""
    found = store.command("XRANGE", keys_of(partition).log, "-", "+")
    return [fields[b"id"] for _, fields in found]


def instance_of(key: InstanceKey, status: Status = Status.ENABLED, **more: Any) -> Instance:
    """A line of the register."""
    given: dict[str, Any] = {"version": 1, "status": status} | more
    return Instance(platform=key.platform, app=key.app, account=key.account, **given)


def transition(number: int = 1, delivery: str = "", **more: Any) -> Transition:
    """A step of an instance; a notice with the number 0."""
    given: dict[str, Any] = {
        "id": f"t{number}",
        "name": Happening.ENABLED if number else Happening.SECRETS_UPDATED,
        "number": number,
        "at": datetime.fromtimestamp(NOW, UTC),
        "cause": "app_instance.update",
        "delivery": DeliveryId(delivery or new_delivery_id(key_in(), now=NOW)),
    }
    return Transition(**(given | more))


def new_work(
    name: str,
    *,
    key: InstanceKey | None = None,
    lane: LaneKind = LaneKind.LIFECYCLE,
    entry: str = "1790000000000-0",
) -> Work:
    """Something to do; its name is its id."""
    key = key or key_in()
    return Work(
        id=name,
        kind=WorkKind.FOLLOW_UP,
        instance=key,
        lane=lane,
        name=name,
        delivery=new_delivery_id(key, now=NOW),
        entry=entry,
    )


def cursor_of(store: Store, partition: int = PARTITION) -> str:
    """Up to where a partition has been folded."""
    return (store.command("GET", keys_of(partition).cursor) or b"0-0").decode()


def begin(store: Store, partition: int = PARTITION) -> Commit:
    """A commit on the present cursor."""
    return Commit(partition, cursor_of(store, partition))


def finish(store: Store, commit: Commit, cursor: str | None = None) -> None:
    """Run a commit that nobody else gets in the way of; the cursor stays, unless one is named."""
    assert commit.run(store, cursor or commit._expected)


def trim(store: Store, *, before_millis: int = 1 << 50, most_bytes: int = 0) -> int:
    """Drop a slice of a partition's oldest entries without folding them; how many went."""
    bases = Bases(store)
    oldest = bases.oldest(PARTITION, before_millis=before_millis, most_bytes=most_bytes)
    return bases.drop(PARTITION, oldest, {}) if oldest.entries else 0


def contents(store: Store, prefix: str = "*") -> dict[bytes, bytes]:
    """Everything that the store holds, key by key."""
    names = sorted(store.command("KEYS", prefix))
    return dict(zip(names, store.batch([("DUMP", name) for name in names]), strict=True))
