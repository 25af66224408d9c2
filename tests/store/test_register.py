"""The register: lines, history, secrets, and the indexes over all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.instance import Instance, Secret, Slot, Source, Status
from innkeeper.secrets import Damaged, KeyRing, MissingKey
from innkeeper.store.connection import Store
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, partition_of
from innkeeper.store.register import (
    MAX_NOTICES,
    Register,
    micros,
    open_secret,
    seal_secret,
    secret_field,
)
from tests.standing import standing_of
from tests.store.making import NOW, begin, finish, instance_of, key_in, keys_in, transition

NAME = "application.client_secret"


@pytest.fixture
def register(store: Store, ring: KeyRing) -> Register:
    """The register of the empty store."""
    return Register(store, ring)


def _put(store: Store, *instances: Instance) -> None:
    for instance in instances:
        commit = begin(store, partition_of(instance.key))
        commit.instance(None, instance)
        finish(store, commit)


def _server_time(store: Store) -> datetime:
    seconds, micro = store.command("TIME")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micro))


def test_lines_in_the_order_asked_for(store: Store, register: Register):
    """Each instance's line stands where it was asked for, and None where there is none."""
    one, other, unknown = key_in(1), key_in(9), key_in(20)
    _put(store, instance_of(one), instance_of(other, Status.SUSPENDED))
    lines = register.lines([other, unknown, one])
    assert [instance_of(other, Status.SUSPENDED), None, instance_of(one)] == [
        line.instance if line else None for line in lines
    ]
    assert register.lines([]) == []
    assert register.line(unknown) is None


def test_times_are_the_servers(store: Store, register: Register):
    """A line tells since when it is there and when it last changed, to the microsecond, in UTC."""
    before = _server_time(store)
    _put(store, instance_of(key_in()))
    after = _server_time(store)
    line = register.line(key_in())
    assert line is not None
    assert before <= line.created_at <= after
    assert after <= micros(Register(store, KeyRing([b"x" * 32])).clock()) <= _server_time(store)
    assert line.created_at == line.updated_at
    assert line.created_at.tzinfo == UTC


def test_micros_lose_nothing():
    """Microseconds survive being a score, which is a float."""
    moment = datetime(2033, 5, 18, 3, 33, 20, 123457, tzinfo=UTC)
    score = float(int(moment.timestamp()) * 1_000_000 + 123457)
    assert moment == micros(score) == micros(str(int(score)).encode())


def test_history_in_order(store: Store, register: Register):
    """Transitions are kept for good, oldest first; of notices only the newest."""
    key = key_in()
    steps = [transition(number) for number in range(1, 151)]
    notices = [replace(transition(0), id=f"n{number}") for number in range(MAX_NOTICES + 20)]
    for start in range(0, 150, 50):
        commit = begin(store)
        for happening in steps[start : start + 50] + notices[start : start + 50]:
            commit.happening(key, happening)
        finish(store, commit)
    assert steps == register.transitions(key)
    assert notices[-MAX_NOTICES:] == register.notices(key)
    assert (register.transitions(key_in(8)), register.notices(key_in(8))) == ([], [])


# Indexes


def _members(store: Store, register: Register, index: str) -> list[str]:
    slices = register.slice(index, start="-", end="+", limit=50, reverse=False, by_score=False)
    return sorted(member.decode() for found in slices for member, _ in found)


def test_counts_and_policies_of_all(store: Store, register: Register):
    """Instances of all partitions are counted, the removed ones too."""
    assert standing_of(store).instances == 0
    _put(store, *(instance_of(key_in(p)) for p in range(5)), instance_of(key_in(6), Status.REMOVED))
    assert standing_of(store).instances == 6
    assert register.with_policy() == []


def test_a_slice_by_name(store: Store, register: Register):
    """Each partition gives its first members from a name on, forwards and backwards."""
    keys = sorted(map(str, keys_in(7, 5)))
    _put(store, *(instance_of(InstanceKey.parse(name)) for name in keys), instance_of(key_in(3)))

    def names(**options: Any) -> list[str]:
        given: dict[str, Any] = {
            "start": "-",
            "end": "+",
            "limit": 3,
            "reverse": False,
            "by_score": False,
        }
        slices = register.slice("by_id", **(given | options))
        assert len(PARTITIONS) == len(slices)
        assert len(slices[3]) <= 1
        return [member.decode() for member, _ in slices[7]]

    assert keys[:3] == names()
    assert keys[3:] == names(start=f"({keys[2]}")
    assert keys[2:][::-1] == names(reverse=True)
    assert keys[:2][::-1] == names(reverse=True, end=f"({keys[2]}")


def test_a_slice_by_time(store: Store, register: Register):
    """Each partition gives its first members from a time on, with the times."""
    keys = keys_in(7, 4)
    for key in keys:
        _put(store, instance_of(key))
    lines = [line for line in register.lines(keys) if line]
    assert sorted(line.created_at for line in lines) == [line.created_at for line in lines]
    options: dict[str, Any] = {"limit": 2, "by_score": True}
    first = register.slice("by_created", start="-inf", end="+inf", reverse=False, **options)[7]
    assert [str(key).encode() for key in keys[:2]] == [member for member, _ in first]
    assert [line.created_at for line in lines[:2]] == [micros(score) for _, score in first]
    last = register.slice("by_updated", start="-inf", end="+inf", reverse=True, **options)[7]
    assert [str(key).encode() for key in keys[:1:-1]] == [member for member, _ in last]


def test_a_slice_of_a_status(store: Store, register: Register):
    """A status has an index of its own."""
    for number, status in enumerate(Status):
        _put(store, instance_of(key_in(number), status))
    for number, status in enumerate(Status):
        assert [str(key_in(number))] == _members(store, register, f"by_status:{status}")


# Secrets


def _held(digest: str, previous: str | None = None) -> Slot[Secret]:
    source = Source(delivery=DeliveryId("7-x"), at=datetime.fromtimestamp(NOW, UTC))
    old = Secret(digest=previous, source=source) if previous else None
    return Slot(current=Secret(digest=digest, source=source), previous=old)


def test_secrets_open_only_in_their_place(ring: KeyRing):
    """A secret's value is bound to its instance and name."""
    sealed = seal_secret(ring, key_in(), NAME, {"a": ["ü", 1]}, now=NOW)
    assert open_secret(ring, key_in(), NAME, sealed) == {"a": ["ü", 1]}
    for key, name in ((key_in(7, 1), NAME), (key_in(8), NAME), (key_in(), "other")):
        with pytest.raises(Damaged):
            open_secret(ring, key, name, sealed)
    with pytest.raises(MissingKey):
        open_secret(KeyRing([b"o" * 32]), key_in(), NAME, sealed)


def test_secrets_in_force(store: Store, register: Register, ring: KeyRing):
    """Of each secret the current value is given, and what was not stored is left out."""
    key = key_in()
    fields = {secret_field(NAME, digest): digest for digest in ("new", "old")}
    kept = {f: seal_secret(ring, key, NAME, v, now=NOW) for f, v in fields.items()}
    commit = begin(store)
    commit.secrets(key, set(), kept)
    finish(store, commit)
    instance = instance_of(key, secrets={NAME: _held("new", "old"), "lost": _held("gone")})
    assert register.secrets(instance) == {NAME: "new"}
    assert [kept, {}] == register.sealed_secrets([key, key_in(8)])
    assert register.sealed_secrets([]) == []


def test_no_secret_is_in_clear(store: Store, ring: KeyRing):
    """What stands in the store of a secret is its digest and its encrypted value."""
    key = key_in()
    commit = begin(store)
    sealed = seal_secret(ring, key, NAME, "canary-in-the-register", now=NOW)
    digest = ring.digest(f"{key}\n{NAME}", "canary-in-the-register")
    commit.instance(None, instance_of(key, secrets={NAME: _held(digest)}))
    commit.secrets(key, set(), {secret_field(NAME, digest): sealed})
    finish(store, commit)
    held = store.command("HGETALL", keys_of(7).secrets + str(key))
    record = store.command("HGET", keys_of(7).instance + str(key), "record")
    assert [sealed] == list(held.values())
    assert b"canary" not in record + b"".join([*held, *held.values()])
