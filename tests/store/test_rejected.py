"""Refused deliveries: kept whole and encrypted, in rings of which each is bounded by itself."""

from __future__ import annotations

import time

import pytest

from innkeeper.lifecycle.errors import Reason
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.secrets import KeyRing, MissingKey
from innkeeper.store.connection import Store
from innkeeper.store.entry import Captured
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_in, partition_of
from innkeeper.store.rejected import MAX_BYTES, MAX_COUNT, Refusal, Rejected, keep_command
from tests.store.making import contents

APP, OTHER = InstanceKey.pseudo("xurrent", "app"), InstanceKey.pseudo("rebilly", "other")
KEYS = keys_of(partition_of(APP))
NOW = time.time()
DAY = 86400.0


@pytest.fixture
def rejected(store: Store, ring: KeyRing) -> Rejected:
    """The rings of the empty store."""
    return Rejected(store, ring, max_age_seconds=14 * DAY)


def _refusal(
    body: bytes = b"{}", *, reason: Reason = Reason.WRONG_AUDIENCE, at: float = NOW
) -> Refusal:
    captured = Captured(app="app", query="account=wdc", headers=(("x", "y"),), body=body)
    return Refusal(at=at, reason=reason, detail="aud", captured=captured, credential="d1")


def _keep(store: Store, ring: KeyRing, *refusals: Refusal, app: InstanceKey = APP) -> None:
    store.batch(
        [keep_command(app, refusal, ring, max_age_seconds=14 * DAY) for refusal in refusals]
    )


def _bytes(store: Store, reason: Reason = Reason.WRONG_AUDIENCE) -> int:
    return int(store.command("HGET", KEYS.rejected_bytes, f"{APP}:{reason}"))


def test_kept_whole(store: Store, ring: KeyRing, rejected: Rejected):
    """A refusal comes back with everything in it, under an id, for its app."""
    refusal = _refusal(bytes(range(256)))
    _keep(store, ring, refusal)
    (found,) = rejected.all(now=NOW)
    assert (APP, refusal) == (found.app, found.refusal)
    assert partition_of(APP) == partition_in(found.id)
    assert found == rejected.find(found.id, now=NOW)


def test_newest_first_over_all_apps(store: Store, ring: KeyRing, rejected: Rejected):
    """Refusals of all apps and reasons are shown together, the newest first."""
    _keep(store, ring, _refusal(b"1", at=NOW - 30))
    _keep(store, ring, _refusal(b"2", at=NOW - 20), app=OTHER)
    _keep(store, ring, _refusal(b"3", at=NOW - 10, reason=Reason.EXPIRED))
    assert [one.refusal.captured.body for one in rejected.all(now=NOW)] == [b"3", b"2", b"1"]
    of_one = rejected.all(now=NOW, reason="expired")
    assert [one.refusal.captured.body for one in of_one] == [b"3"]
    assert rejected.all(now=NOW, reason="bad_token") == []
    assert rejected.all(now=NOW, reason="d") == []


def test_nothing_in_clear(store: Store, ring: KeyRing):
    """What was refused is encrypted: it may well hold somebody's secrets."""
    _keep(store, ring, _refusal(b"canary-in-a-refused-body" * 20))
    assert not any(b"canary" in dump for dump in contents(store).values())
    with pytest.raises(MissingKey):
        Rejected(store, KeyRing([b"o" * 32]), max_age_seconds=DAY).all(now=NOW)


def test_bounded_by_count(store: Store, ring: KeyRing, rejected: Rejected):
    """A ring keeps the newest 200, and a flood of one kind pushes out no other kind."""
    _keep(store, ring, _refusal(b"rare", reason=Reason.EXPIRED))
    _keep(store, ring, _refusal(b"other"), app=OTHER)
    _keep(store, ring, *(_refusal(str(n).encode(), at=NOW + n) for n in range(MAX_COUNT + 25)))
    bodies = [one.refusal.captured.body for one in rejected.all(now=NOW)]
    assert {b"rare", b"other"} <= set(bodies)
    assert [str(n).encode() for n in reversed(range(25, 225))] == bodies[:MAX_COUNT]
    assert len(bodies) == MAX_COUNT + 2


def test_bounded_by_bytes(store: Store, ring: KeyRing, rejected: Rejected):
    """A ring holds 4 MiB at most, but its newest refusal in any case."""
    _keep(store, ring, *(_refusal(b"x" * (1 << 20)) for _ in range(6)))
    assert len(rejected.all(now=NOW)) == 3
    assert 3 << 20 < _bytes(store) <= MAX_BYTES
    _keep(store, ring, _refusal(b"x" * (MAX_BYTES + 1)))
    assert len(rejected.all(now=NOW)) == 1


def test_bounded_by_age(store: Store, ring: KeyRing, rejected: Rejected):
    """What is over 14 days old goes when the next comes, and is not shown even before."""
    _keep(store, ring, _refusal(b"old", at=NOW - 15 * DAY), _refusal(b"new"))
    assert [one.refusal.captured.body for one in rejected.all(now=NOW)] == [b"new"]
    store.command("FLUSHALL")
    place = f"{APP}:{Reason.WRONG_AUDIENCE}"
    store.command("XADD", KEYS.rejected + place, "1-0", "id", "7-x", "sealed", b"x" * 100)
    store.command("HSET", KEYS.rejected_bytes, place, 100)
    _keep(store, ring, _refusal())
    assert store.command("XLEN", KEYS.rejected + place) == 1


def test_the_bytes_are_counted_exactly(store: Store, ring: KeyRing, rejected: Rejected):
    """The counted bytes of a ring are those in it, after pushing out and after dropping."""
    _keep(store, ring, *(_refusal(b"x" * n) for n in range(MAX_COUNT + 25)))
    name = KEYS.rejected + f"{APP}:{Reason.WRONG_AUDIENCE}"

    def held() -> int:
        return sum(len(f[b"sealed"]) for _, f in store.command("XRANGE", name, "-", "+"))

    assert held() == _bytes(store)
    rejected.drop(rejected.all(now=NOW)[0])
    assert held() == _bytes(store)


def test_dropped(store: Store, ring: KeyRing, rejected: Rejected):
    """What was let in is gone, once, and the others are still there."""
    _keep(store, ring, _refusal(b"1", at=NOW - 1), _refusal(b"2"))
    newest, oldest = rejected.all(now=NOW)
    rejected.drop(newest)
    rejected.drop(newest)
    assert [oldest] == rejected.all(now=NOW)
    assert rejected.find(newest.id, now=NOW) is None


def test_dropped_by_two_at_once(store: Store, ring: KeyRing, rejected: Rejected):
    """Two operators who drop the same refusal take its bytes off once."""
    _keep(store, ring, _refusal(b"1"), _refusal(b"2" * 50))
    newest = rejected.all(now=NOW)[0]

    class Slow(Store):
        def command(self, *command):
            answer = super().command(*command)
            if command[0] == "XRANGE":
                rejected.drop(newest)
            return answer

    slow = Slow(store.url)
    Rejected(slow, ring, max_age_seconds=DAY).drop(newest)
    slow.close()
    name = KEYS.rejected + f"{APP}:{Reason.WRONG_AUDIENCE}"
    ((_, left),) = store.command("XRANGE", name, "-", "+")
    assert len(left[b"sealed"]) == _bytes(store)


def test_what_is_no_id(rejected: Rejected):
    """Anything but an id raises ValueError; an unknown id finds nothing."""
    assert rejected.find("7-11111111-1111-4111-8111-111111111111", now=NOW) is None
    with pytest.raises(ValueError, match="no such id"):
        rejected.find("wdc", now=NOW)


def test_an_app_with_a_colon(store: Store, ring: KeyRing, rejected: Rejected):
    """The reason is what stands behind the last colon, whatever the app is called."""
    app = InstanceKey.pseudo("xurrent", "a:b")
    _keep(store, ring, _refusal(), app=app)
    (found,) = rejected.all(now=NOW, reason=Reason.WRONG_AUDIENCE)
    assert app == found.app
