"""The register: every instance with what happened to it, its secrets, and the indexes over it.

Read by apply, receivers (policies) and operators. Written by `commit.py` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.instance import HeldPolicy, Instance, Slot, Status
from innkeeper.lifecycle.transitions import Transition
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.keys import PartitionKeys, keys_of
from innkeeper.store.partitions import PARTITIONS, partition_of

MAX_NOTICES = 100
_PIECE = 500
_instances = msgspec.json.Decoder(Instance)
_transitions = msgspec.json.Decoder(Transition)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the register: the instance, and since when the register has it so."""

    instance: Instance
    created_at: datetime
    updated_at: datetime


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What receivers need of an instance: its learned signing policies, newest first."""

    slot: Slot[HeldPolicy]


class Register:
    """Reads the register. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        """Use `store`; `ring` opens secrets."""
        self._store = store
        self._ring = ring

    def lines(self, keys: Sequence[InstanceKey]) -> list[Line | None]:
        """The lines of instances, in the order asked for; None where there is none."""
        names = [keys_of(partition_of(key)).instance + str(key) for key in keys]
        calls = [("HMGET", name, "record", "created", "updated") for name in names]
        return [_line(*answer) for answer in self._store.batch(calls)] if calls else []

    def line(self, key: InstanceKey) -> Line | None:
        """One line."""
        return self.lines([key])[0]

    def transitions(
        self, key: InstanceKey, *, first: int = 0, count: int | None = None
    ) -> list[Transition]:
        """An instance's transitions, oldest first; `count` of them from place `first` on."""
        name = keys_of(partition_of(key)).transitions + str(key)
        last = -1 if count is None else first + count - 1
        items = self._store.command("LRANGE", name, first, last)
        return [_transitions.decode(item) for item in items]

    def notices(self, key: InstanceKey) -> list[Transition]:
        """The newest notices about an instance, oldest first."""
        name = keys_of(partition_of(key)).notices + str(key)
        return [_transitions.decode(item) for item in self._store.command("LRANGE", name, 0, -1)]

    def sealed_secrets(self, keys: Sequence[InstanceKey]) -> list[dict[str, bytes]]:
        """The encrypted values of instances' secrets, by `secret_field` of name and digest."""
        calls = [("HGETALL", keys_of(partition_of(key)).secrets + str(key)) for key in keys]
        answers = self._store.batch(calls) if calls else []
        return [{field.decode(): value for field, value in a.items()} for a in answers]

    def secrets(self, instance: Instance) -> dict[str, Any]:
        """The values of an instance's secrets that are in force. Raises MissingKey, Damaged."""
        sealed = self.sealed_secrets([instance.key])[0]
        found = {}
        for name, slot in instance.secrets.items():
            blob = sealed.get(secret_field(name, slot.current.digest))
            if blob is not None and instance.in_force(slot.current):
                found[name] = open_secret(self._ring, instance.key, name, blob)
        return found

    def slice(
        self, index: str, *, start: str, end: str, limit: int, reverse: bool, by_score: bool
    ) -> list[list[tuple[bytes, float]]]:
        """For each partition the first `limit` members of an index in a range, with scores.

        `index`: the name of an attribute of `PartitionKeys`, with a `:status` for `by_status`.
        """
        first, last = (end, start) if reverse else (start, end)
        options = ["BYSCORE" if by_score else "BYLEX"] + (["REV"] if reverse else [])
        calls = []
        for partition in PARTITIONS:
            name = _index_key(keys_of(partition), index)
            scores = ["WITHSCORES"] if by_score else []
            calls.append(("ZRANGE", name, first, last, *options, "LIMIT", 0, limit, *scores))
        return [_members(answer, by_score=by_score) for answer in self._store.batch(calls)]

    def clock(self) -> int:
        """The store's time, from which `created` and `updated` are, in microseconds."""
        seconds, rest = self._store.command("TIME")
        return int(seconds) * 1_000_000 + int(rest)

    def of_app(self, platform: str, app: str, *, limit: int = 500) -> Iterator[list[InstanceKey]]:
        """The instances of an app, removed ones too, in pieces, partition by partition."""
        prefix = f"{platform}/{app}/"
        end = f"({prefix[:-1]}0"  # the character behind the slash
        for partition in PARTITIONS:
            for names in names_in(
                self._store, partition, first=f"[{prefix}", last=end, limit=limit
            ):
                yield [InstanceKey.parse(name) for name in names]

    def removed(self) -> Iterator[Line]:
        """The lines of removed instances, partition by partition."""
        for partition in PARTITIONS:
            name = f"{keys_of(partition).by_status}{Status.REMOVED}"
            for start in count(0, _PIECE):
                found = self._store.command("ZRANGE", name, start, start + _PIECE - 1)
                lines = self.lines([InstanceKey.parse(member.decode()) for member in found])
                yield from filter(None, lines)
                if len(found) < _PIECE:
                    break

    def with_policy(self) -> list[InstanceKey]:
        """The instances whose signing policy was learned."""
        calls = [("ZRANGE", keys_of(p).with_policy, 0, -1) for p in PARTITIONS]
        names = sorted(name.decode() for answer in self._store.batch(calls) for name in answer)
        return [InstanceKey.parse(name) for name in names]


def names_in(
    store: Store, partition: int, *, first: str = "-", last: str = "+", limit: int = _PIECE
) -> Iterator[list[str]]:
    """The names in a partition's register, in order, at most `limit` at a time.

    `first`, `last`: `[` or `(` and a name, or the ends. Raises StoreError, StoreUnavailable.
    """
    name, start = keys_of(partition).by_id, first
    while start:
        found = store.command("ZRANGE", name, start, last, "BYLEX", "LIMIT", 0, limit)
        names = [member.decode() for member in found]
        if names:
            yield names
        start = f"({names[-1]}" if len(names) == limit else ""


def seal_secret(ring: KeyRing, key: InstanceKey, name: str, value: Any, *, now: float) -> bytes:
    """Encrypt a secret's value for its place."""
    plain = msgspec.json.encode(value)
    return ring.seal(*secret_place(key, name), plain, now=now)


def open_secret(ring: KeyRing, key: InstanceKey, name: str, sealed: bytes) -> Any:
    """The value that `seal_secret` encrypted. Raises MissingKey, Damaged."""
    return msgspec.json.decode(ring.open(*secret_place(key, name), sealed))


def secret_place(key: InstanceKey, name: str) -> tuple[str, int, str]:
    """Purpose, partition and place under which a secret is sealed."""
    return "secret", partition_of(key), f"{key}\n{name}"


def secret_field(name: str, digest: str) -> str:
    """Under which field an instance's hash of secrets holds a value."""
    return f"{name}\n{digest}"


def secret_fields(instance: Instance) -> dict[str, tuple[str, str]]:
    """The fields of the secrets that an instance holds, with name and digest."""
    fields = {}
    for name, slot in instance.secrets.items():
        for held in filter(None, (slot.current, slot.previous)):
            fields[secret_field(name, held.digest)] = (name, held.digest)
    return fields


def micros(moment: bytes | float) -> datetime:
    """A time that the store gives in microseconds."""
    seconds, rest = divmod(int(float(moment)), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def _line(record: bytes | None, created: bytes, updated: bytes) -> Line | None:
    if record is None:
        return None
    return Line(
        instance=_instances.decode(record), created_at=micros(created), updated_at=micros(updated)
    )


def _index_key(keys: PartitionKeys, index: str) -> str:
    name, _, status = index.partition(":")
    key: str = getattr(keys, name)
    return key + status


def _members(answer: list[Any], *, by_score: bool) -> list[tuple[bytes, float]]:
    if not by_score:
        return [(member, 0.0) for member in answer]
    if answer and isinstance(answer[0], list):
        return [(member, float(score)) for member, score in answer]
    return list(zip(answer[::2], map(float, answer[1::2]), strict=True))
