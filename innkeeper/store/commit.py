"""What a fold made of a batch, written in one atomic step together with the cursor.

Filled by apply, entry by entry. Nothing is sent before `run`, and `run` writes all or nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.transitions import Transition
from innkeeper.store.connection import Store, script
from innkeeper.store.dead_letters import DeadLetter
from innkeeper.store.entry import raw_id
from innkeeper.store.erasing import Remains
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import BELLS_OF_OUTBOX, Lane, LaneKind, Work
from innkeeper.store.partitions import partition_of
from innkeeper.store.register import MAX_NOTICES, PolicyFile

_encode = msgspec.json.Encoder(order="deterministic").encode


class Commit:
    """Everything that one batch of one partition changes."""

    def __init__(self, partition: int, cursor: str) -> None:
        """Begin at the `cursor` at which the batch was read."""
        self._keys = keys_of(partition)
        self._expected = cursor
        self._operations: list[tuple[Any, ...]] = []
        self._outcomes: list[Any] = []
        self._counts: dict[str, int] = {}
        self._heard: dict[str, int] = {}

    def instance(self, before: Instance | None, after: Instance) -> None:
        """Write an instance's line, its indexes and what receivers need of it."""
        name = str(after.key)
        was = before.status if before else ""
        changed = before is None or _visible(before) != _visible(after)
        self._operations.append(
            (
                "instance", self._keys.instance + name, name, _encode(after), was, after.status,
                int(changed), before.entry if before else "", after.entry,
            )
        )  # fmt: skip
        if (before.policy if before else None) != after.policy or (
            before and before.existence.floor != after.existence.floor
        ):
            self._policy(name, after)

    def secrets(self, key: InstanceKey, known: set[str], kept: dict[str, bytes]) -> None:
        """Write an instance's encrypted secrets: `kept` by field, dropping what else was known.

        What was known is not written again: a rotation may have sealed it anew since it was read.
        """
        name = self._keys.secrets + str(key)
        gone = sorted(known - set(kept))
        pairs = [part for item in kept.items() if item[0] not in known for part in item]
        if pairs:
            self._call("HSET", name, *pairs)
        if gone:
            self._call("HDEL", name, *gone)

    def forget(self, key: InstanceKey, status: Status | None, remains: Remains) -> None:
        """Delete an instance and all that hangs on it, what this batch has put before it as well.

        `status`: as the indexes have it, None where there is no line.
        """
        keys, name = self._keys, str(key)
        lanes = [Lane(key, kind).name for kind in LaneKind]
        put = [one[6] for one in self._operations if one[0] == "work" and one[2] in lanes]
        works = [*put, *remains.works]
        # Those of the works too, known or not: one may have been given up since `remains` was read.
        letters = [*remains.letters, *(f"{partition_of(key)}-{id_}" for id_ in works)]
        families = (keys.instance, keys.secrets, keys.policy, keys.transitions, keys.notices)
        self._call("DEL", *(family + name for family in families))
        self._call("HDEL", keys.base, name)
        indexes = [keys.by_id, keys.by_created, keys.by_updated, keys.with_policy]
        for index in indexes + ([keys.by_status + status] if status else []):
            self._call("ZREM", index, name)
        self._call("DEL", *(family + lane for lane in lanes for family in (keys.lane, keys.queue)))
        for bell in BELLS_OF_OUTBOX:
            self._call("ZREM", keys.due + bell, *lanes)
        if works:
            self._call("DEL", *(keys.work + id_ for id_ in works))
        if letters:
            self._call("ZREM", keys.pins, *works, *remains.letters)
            self._call("ZREM", keys.dead, *letters)
            self._call("HDEL", keys.dead_records, *letters)

    def happening(self, key: InstanceKey, happening: Transition) -> None:
        """Add to an instance's history: a transition for good, a notice for a while."""
        if happening.number:
            self._call("RPUSH", self._keys.transitions + str(key), _encode(happening))
            return
        name = self._keys.notices + str(key)
        self._call("RPUSH", name, _encode(happening))
        self._call("LTRIM", name, -MAX_NOTICES, -1)

    def work(self, work: Work) -> None:
        """Put work at the end of its lane."""
        keys, lane = self._keys, Lane(work.instance, work.lane).name
        self._operations.append(
            (
                "work", work.bell, lane, keys.lane + lane, keys.queue + lane,
                keys.work + work.id, work.id, _encode(work), work.entry.partition("-")[0],
            )
        )  # fmt: skip

    def outcome(self, delivery: DeliveryId, outcome: str, *, dead: bool = False) -> None:
        """Note what became of an entry."""
        self._outcomes += raw_id(delivery), outcome
        counter = "dead" if dead else "applied"
        self._counts[counter] = self._counts.get(counter, 0) + 1

    def heard(self, instance: InstanceKey, at: float) -> None:
        """Note that a delivery of the instance's app came in; `at` in seconds since the epoch."""
        app = f"{instance.platform}/{instance.app}"
        self._heard[app] = max(self._heard.get(app, 0), int(at * 1000))

    def dead_letter(self, letter: DeadLetter) -> None:
        """Put an entry among the dead letters, and keep it from being trimmed."""
        millis = int(letter.at.timestamp() * 1000)
        self._call("ZADD", self._keys.dead, millis, letter.id)
        self._call("HSET", self._keys.dead_records, letter.id, _encode(letter))
        self._call("ZADD", self._keys.pins, letter.entry.partition("-")[0], letter.id)

    def clear_trouble(self) -> None:
        """Forget what stood in the partition's way."""
        self._call("DEL", self._keys.trouble)

    def run(self, store: Store, cursor: str) -> bool:
        """Write it all and move the cursor; False if another worker had moved it.

        Raises StoreError, StoreUnavailable.
        """
        keys = self._keys
        if self._outcomes:
            self._call("HSET", keys.outcomes, *self._outcomes)
        for app, millis in self._heard.items():
            # GT: what waited in a spool comes late.
            self._call("ZADD", keys.last, "GT", millis, app)
        for counter, number in self._counts.items():
            self._call("HINCRBY", keys.counts, counter, number)
        parts = [part for operation in self._operations for part in (len(operation), *operation)]
        call = script("commit").call(
            [
                keys.cursor, keys.counts, keys.by_id, keys.by_created, keys.by_updated,
                keys.by_status, keys.due, keys.pins, keys.log, keys.base,
            ],
            [self._expected, cursor, *parts],
        )  # fmt: skip
        return bool(store.command(*call))

    def _policy(self, name: str, after: Instance) -> None:
        slot = after.policy
        if slot is None or not after.in_force(slot.current):
            self._call("DEL", self._keys.policy + name)
            self._call("ZREM", self._keys.with_policy, name)
            return
        self._call("SET", self._keys.policy + name, _encode(PolicyFile(slot=slot)))
        self._call("ZADD", self._keys.with_policy, 0, name)

    def _call(self, *command: Any) -> None:
        self._operations.append(("call", *command))


def _visible(instance: Instance) -> tuple[Any, ...]:
    """What the API shows of an instance: a change of it moves `updated_at`."""
    return (instance.version, instance.status, instance.confirmed, instance.node_id)
