"""Sealing anew, slice by slice: everything, only what is still as it was read, and nothing lost."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from innkeeper.lifecycle.errors import Reason
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.secrets import HEAD_BYTES, KeyRing
from innkeeper.store.connection import Store, script
from innkeeper.store.digests import Digests
from innkeeper.store.entry import Captured
from innkeeper.store.keys import DIGEST_KEY, keys_of
from innkeeper.store.log import Log
from innkeeper.store.partitions import partition_of
from innkeeper.store.register import Register, seal_secret, secret_field
from innkeeper.store.rejected import Refusal, Rejected, keep_command
from innkeeper.store.resealing import Resealing
from innkeeper.store.tokens import Tokens
from tests.standing import newest, standing_of
from tests.store.making import (
    NOW,
    append_all,
    begin,
    contents,
    finish,
    instance_of,
    key_in,
    new_entry,
)

OLD, NEW, LOST = b"o" * 32, b"n" * 32, b"l" * 32
APP = InstanceKey.pseudo("xurrent", "app")
BEFORE, DURING, AFTER = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
_numbers = count()


def pass_over(store: Store, ring: KeyRing = DURING) -> Resealing:
    """One whole pass."""
    resealing = Resealing(store, ring)
    assert list(resealing.run()) == list(range(64))
    return resealing


def refuse(store: Store, ring: KeyRing, body: bytes = b"refused", times: int = 1) -> None:
    """Keep refusals of one reason."""
    for _ in range(times):
        refusal = Refusal(at=NOW, reason=Reason.EXPIRED, captured=Captured(body=body))
        store.command(*keep_command(APP, refusal, ring, max_age_seconds=1e9))


def fill(store: Store, ring: KeyRing) -> None:
    """Something of every kind that is stored sealed."""
    for partition in (0, 7, 63):
        key = key_in(partition)
        body = Captured(body=b"canary of a body")
        append_all(store, ring, [new_entry(f"{next(_numbers)}", key=key, captured=body)])
        commit = begin(store, partition)
        commit.instance(None, instance_of(key))
        kept = {
            secret_field(name, "0" * 32): seal_secret(ring, key, name, f"canary {name}", now=NOW)
            for name in ("token", "application.client_secret")
        }
        commit.secrets(key, set(), kept)
        finish(store, commit)
    refuse(store, ring, times=3)
    Tokens(store, ring).put("app:1", "canary-token", lives_seconds=600)
    assert Tokens(store, ring).lease("app:1", 600)
    assert Tokens(store, ring).attempts("app:1", per_seconds=600, at_most=5) == 1
    Digests(store, ring).of(key_in())("token", "value")


def opened(store: Store, ring: KeyRing) -> list[Any]:
    """Everything that is kept, in clear."""
    log, register = Log(store, ring), Register(store, ring)
    found: list[Any] = [Digests(store, ring).of(key_in())("token", "value")]
    for partition in (0, 7, 63):
        entries = newest(log, partition)
        for entry in entries:
            whole = log.at(partition, entry.stream_id)
            assert whole is not None
            found += [whole.event(ring), log.captured(entry)]
        for field, sealed in register.sealed_secrets([key_in(partition)])[0].items():
            name = field.partition("\n")[0]
            place = ("secret", partition, f"{key_in(partition)}\n{name}")
            found.append(ring.open(*place, sealed))
    found += [one.refusal for one in Rejected(store, ring, max_age_seconds=1e12).all(now=NOW)]
    return found


def test_everything_is_sealed_anew(store: Store):
    """After a pass the new key alone opens all there is, the next one finds nothing, and nothing
    else in the store has changed; a token goes, its lease and its attempts stay."""
    fill(store, BEFORE)
    expected, names = opened(store, BEFORE), set(contents(store))
    counts = standing_of(store).counts
    resealing = pass_over(store)
    assert dict(resealing.resealed) == {
        "digest_key": 1, "tokens": 1, "events": 3, "bodies": 3, "secrets": 6, "refused": 3,
    }  # fmt: skip
    assert (resealing.damaged, resealing.changed.total(), resealing.missing.total()) == (0, 0, 0)
    assert opened(store, AFTER) == expected
    assert names - set(contents(store)) == {b"ik:token:app:1"}
    assert set(contents(store)) < names
    assert standing_of(store).counts == counts
    kept = contents(store)
    assert pass_over(store).found == 0
    assert contents(store) == kept


def test_what_has_changed_since_is_left_alone(store: Store):
    """Another value in the place of the one that was read stays: by a removal, by another write."""
    fill(store, BEFORE)
    name = keys_of(7).bodies
    (field,) = store.command("HKEYS", name)
    sealed = store.command("HGET", name, field)
    call = script("reseal").call([name], [field, sealed[:HEAD_BYTES], b"anew"])
    for other in (b"another", b""):
        store.command("HSET", name, field, other)
        assert store.command(*call) == 0
        assert store.command("HGET", name, field) == other
    store.command("HDEL", name, field)
    assert store.command(*call) == 0
    assert store.command("HGET", name, field) is None
    held = store.command("GET", DIGEST_KEY)
    call = script("reseal").call([DIGEST_KEY], [b"", held[:HEAD_BYTES], b"anew"])
    assert store.command(*call) == 1
    assert store.command(*call) == 0
    assert store.command("GET", DIGEST_KEY) == b"anew"


def test_a_ring_keeps_its_ids(store: Store):
    """Refusals stay where they are in their stream, so that whoever drops one still finds it."""
    refuse(store, BEFORE, times=5)
    name = keys_of(partition_of(APP)).rejected + f"{APP}:expired"
    ids = [stream_id for stream_id, _ in store.command("XRANGE", name, "-", "+")]
    assert pass_over(store).resealed["refused"] == 5
    assert [i for i, _ in store.command("XRANGE", name, "-", "+")] == ids
    assert store.command("TTL", name) == -1
    rejected = Rejected(store, AFTER, max_age_seconds=1e12)
    rejected.drop(rejected.all(now=NOW)[0])
    refuse(store, AFTER)
    assert len(rejected.all(now=NOW)) == 5
    size = sum(len(fields[b"sealed"]) for _, fields in store.command("XRANGE", name, "-", "+"))
    held = store.command("HGET", keys_of(partition_of(APP)).rejected_bytes, f"{APP}:expired")
    assert int(held) == size


@pytest.mark.parametrize("change", ["comes in", "goes out"])
def test_a_ring_that_changes_meanwhile_is_not_overwritten(store: Store, change: str):
    """What came in or went out since it was read is left to the next try."""
    refuse(store, BEFORE, times=3)
    keys = keys_of(partition_of(APP))
    name = keys.rejected + f"{APP}:expired"
    known = store.command("XINFO STREAM", name)
    if change == "comes in":
        refuse(store, AFTER)
    else:
        store.command("XDEL", name, store.command("XRANGE", name, "-", "+")[0][0])
    store.command("XADD", keys.rejected + "new:1", "1-1", "id", "x", "sealed", "y")
    arguments = [known["length"], known["last-generated-id"]]
    names = [name, keys.rejected + "new:1"]
    assert store.command(*script("reseal_ring").call(names, arguments)) == 0
    assert store.command("EXISTS", names[1]) == 0
    assert pass_over(store).resealed["refused"] == (3 if change == "comes in" else 2)


def test_what_cannot_be_opened_stays_as_it_is(store: Store):
    """Under a key that is nowhere, or damaged: it is counted, and the rest is sealed anew."""
    fill(store, BEFORE)
    name = keys_of(7).events
    (field,) = store.command("HKEYS", name)
    lost = KeyRing([LOST]).seal("event", 7, "place", b"x", now=NOW)
    damaged = BEFORE.seal("event", 7, "another place", b"x", now=NOW)
    store.command("HSET", name, field, lost)
    store.command("HSET", keys_of(0).events, *store.command("HKEYS", keys_of(0).events), damaged)
    refuse(store, KeyRing([LOST]))
    resealing = pass_over(store)
    assert resealing.missing == {lost[1:5].hex(): 2}
    assert resealing.damaged == 1
    assert (resealing.resealed["events"], resealing.resealed["refused"]) == (1, 3)
    assert store.command("HGET", name, field) == lost
    again = pass_over(store)
    assert (again.found, again.damaged, again.missing.total()) == (0, 1, 2)


def test_large_bodies_go_one_by_one(store: Store):
    """However large they are, and however many."""
    bodies = [bytes([n]) * (600 << 10) for n in range(3)] + [b"x"] * 150
    for body in bodies:
        append_all(store, BEFORE, [new_entry(captured=Captured(body=body))])
    assert pass_over(store).resealed["bodies"] == len(bodies)
    log = Log(store, AFTER)
    assert [log.captured(entry).body for entry in newest(log, 7)] == bodies[::-1]
