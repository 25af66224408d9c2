"""Appending: each delivery is stored at most once, whatever makes two deliveries one."""

from __future__ import annotations

import contextlib

import pytest

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store, script
from innkeeper.store.entry import FIELDS, Captured, NewEntry, raw_id
from innkeeper.store.errors import StoreError
from innkeeper.store.keys import keys_of
from innkeeper.store.log import (
    CLAIM_PERIOD_SECONDS,
    MAX_APPEND_BYTES,
    MAX_APPEND_DELIVERIES,
    Appended,
    Log,
    Prepared,
    append_command,
    prepare,
    read_appended,
)
from tests.standing import standing_of
from tests.store.making import (
    NOW,
    PARTITION,
    append_all,
    claim,
    contents,
    key_in,
    logged,
    new_entry,
)
from tests.store.servers import server

KEYS = keys_of(PARTITION)


def _counts(store: Store) -> dict[str, int]:
    found = store.command("HGETALL", KEYS.counts)
    return {name.decode(): int(value) for name, value in found.items()}


def _periods(store: Store) -> list[bytes]:
    found: list[bytes] = store.command("KEYS", KEYS.claims.replace("{", "\\{") + "*")
    return found


def test_deliveries_without_anything_in_common_are_all_stored(store: Store, ring: KeyRing):
    """What shares no claim is stored, in order, each under its own id."""
    entries = [new_entry(f"jti{n}", f"d{n}") for n in range(5)]
    results = append_all(store, ring, entries)
    assert [Appended(entry.delivery, False) for entry in entries] == results
    assert [raw_id(entry.delivery) for entry in entries] == logged(store)


def test_without_claims_nothing_is_a_duplicate(store: Store, ring: KeyRing):
    """Where the platform gives nothing to tell deliveries apart, each is stored."""
    results = append_all(store, ring, [new_entry(), new_entry()])
    assert [one.duplicate for one in results] == [False, False]


@pytest.mark.parametrize("position", range(4), ids=["jti", "data", "delivery", "origin"])
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_any_shared_claim_makes_a_duplicate(
    store: Store, ring: KeyRing, position: int, together: bool
):
    """One claim of several in common is enough, whichever it is; the answer names the first."""
    first = new_entry("a0", "a1", "a2", "a3")
    names = [f"b{n}" for n in range(4)]
    names[position] = f"a{position}"
    again = new_entry(*names)
    if together:
        _, result = append_all(store, ring, [first, again])
    else:
        append_all(store, ring, [first])
        (result,) = append_all(store, ring, [again])
    assert Appended(first.delivery, True) == result
    assert [raw_id(first.delivery)] == logged(store)


def test_thirty_two_at_once(store: Store, ring: KeyRing):
    """Of 32 copies in one batch one is stored, and all others name it."""
    copies = [new_entry("jti", "d") for _ in range(32)]
    results = append_all(store, ring, copies)
    assert [copies[0].delivery] * 32 == [one.delivery for one in results]
    assert sum(one.duplicate for one in results) == 31
    assert len(logged(store)) == 1


def test_a_duplicates_own_claims_are_learned(store: Store, ring: KeyRing):
    """(j1, d1) stored, (j1, d2) a duplicate of it: then (j2, d2) is a duplicate of it as well."""
    first, second, third = new_entry("j1", "d1"), new_entry("j1", "d2"), new_entry("j2", "d2")
    results = append_all(store, ring, [first, second]) + append_all(store, ring, [third])
    assert [first.delivery] * 3 == [one.delivery for one in results]
    assert [raw_id(first.delivery)] == logged(store)


def test_an_append_sent_again_is_stored_once(store: Store, ring: KeyRing):
    """After a time-out the same append says "stored" again, not "duplicate", and stores nothing."""
    entry = new_entry("jti")
    results = append_all(store, ring, [entry]) + append_all(store, ring, [entry, entry])
    assert [Appended(entry.delivery, False)] * 3 == results
    assert [raw_id(entry.delivery)] == logged(store)
    assert {k: v for k, v in _counts(store).items() if k != "bytes"} == {"accepted": 1}


def test_the_second_answer_after_a_duplicate(store: Store, ring: KeyRing):
    """A duplicate that is sent again under its own id is a duplicate again."""
    first, copy = new_entry("jti"), new_entry("jti")
    append_all(store, ring, [first])
    assert append_all(store, ring, [copy]) == append_all(store, ring, [copy])
    assert len(logged(store)) == 1


def test_claims_outlive_a_killed_server(ring: KeyRing):
    """What was answered is on disk: after kill -9 and a restart it is found, with its claims."""
    with server() as running:
        first = new_entry("jti", "d")
        with contextlib.closing(Store(running.url)) as store:
            append_all(store, ring, [first])
        running.kill()
        running.start()
        with contextlib.closing(Store(running.url)) as store:
            results = append_all(store, ring, [new_entry("jti"), new_entry("x", "d"), first])
            assert [one.duplicate for one in results] == [True, True, False]
            assert [raw_id(first.delivery)] == logged(store)


def test_other_partitions_know_nothing_of_a_claim(store: Store, ring: KeyRing):
    """Claims belong to a partition: the same bytes elsewhere are another delivery."""
    log = Log(store, ring)
    assert not log.append(new_entry("jti")).duplicate
    assert not log.append(new_entry("jti", key=key_in(8))).duplicate


def test_what_is_counted(store: Store, ring: KeyRing):
    """Accepted, duplicates and the log's bytes are counted; a repeated append is not."""
    entry = new_entry("jti", captured=Captured(body=b"x" * 1000))
    append_all(store, ring, [entry, new_entry("jti"), entry, new_entry("other")])
    counts = _counts(store)
    assert (counts["accepted"], counts["duplicate"]) == (2, 1)
    found = store.command("XRANGE", KEYS.log, "-", "+")
    sealed = [*store.command("HVALS", KEYS.events), *store.command("HVALS", KEYS.bodies)]
    readable = [part for _, fields in found for pair in fields.items() for part in pair]
    assert counts["bytes"] == sum(map(len, [*readable, *sealed]))
    totals = standing_of(store).counts
    assert counts == {name: totals[name] for name in counts}
    assert (totals["applied"], totals["dead"], totals["trimmed"]) == (0, 0, 0)


def test_the_log_keeps_every_field(store: Store, ring: KeyRing):
    """An entry in the store has exactly the ten fields, in their order."""
    append_all(store, ring, [new_entry()])
    ((_, fields),) = store.command("XRANGE", KEYS.log, "-", "+")
    assert tuple(name.decode() for name in fields) == FIELDS


def test_a_full_batch(store: Store, ring: KeyRing):
    """100 deliveries of together 1 MiB go through one call."""
    assert MAX_APPEND_DELIVERIES == 100
    body = b"x" * (MAX_APPEND_BYTES // MAX_APPEND_DELIVERIES - 500)
    entries = [
        new_entry(f"j{n}", f"d{n}", f"o{n}", captured=Captured(body=body), expires_at=NOW)
        for n in range(MAX_APPEND_DELIVERIES)
    ]
    results = append_all(store, ring, entries)
    assert [Appended(entry.delivery, False) for entry in entries] == results
    assert len(logged(store)) == MAX_APPEND_DELIVERIES


def test_what_cannot_be_stored_fails_alone(store: Store, ring: KeyRing):
    """Text that no store takes raises when it is prepared, and so spoils no batch."""
    event = Event(type="x", kind=EventKind.OTHER)
    for hostile in ("\ud800", "a\udfff"):
        entry = NewEntry(
            delivery=DeliveryId("7-01a0bb9a-b000-7000-8000-000000000000"),
            instance=InstanceKey("rebilly", "app", hostile),
            at=NOW,
            event=event,
            signer="none",
            captured=Captured(),
        )
        with pytest.raises(UnicodeEncodeError):
            prepare(entry, ring)
    assert contents(store) == {}


def test_a_full_store_takes_nothing(store: Store, ring: KeyRing):
    """With no memory left an append is an error, and leaves neither entry nor claim."""
    store.command("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreError, match="maxmemory"):
            append_all(store, ring, [new_entry("jti")])
        assert contents(store) == {}
    finally:
        store.command("CONFIG", "SET", "maxmemory", "0")
    assert not append_all(store, ring, [new_entry("jti")])[0].duplicate


# Periods


class Clock:
    """The append script with a clock that the test sets; periods go when their time has come."""

    def __init__(self, store: Store) -> None:
        text = script("append").text
        assert text.count("redis.call('TIME')[1]") == 1
        self._text = text.replace("redis.call('TIME')[1]", "redis.call('GET', 'clock')")
        self._store = store
        self.start = (int(store.command("TIME")[0]) // CLAIM_PERIOD_SECONDS) * CLAIM_PERIOD_SECONDS

    def append(self, entry: Prepared, periods: float) -> Appended:
        """Append when so many periods have gone by since the start of the present one."""
        now = self.start + int(periods * CLAIM_PERIOD_SECONDS)
        self._store.command("SET", "clock", now)
        for name in _periods(self._store):
            ends = self._store.command("EXPIRETIME", name)
            assert ends > 0, "claims without an end"
            if ends <= now:
                self._store.command("DEL", name)
        _, _, *rest = append_command([entry])
        answer = self._store.command("EVAL", self._text, *rest)
        return read_appended([entry], answer)[0]


@pytest.mark.parametrize("began", [0.0, 0.5, 0.99])
def test_a_claim_lives_for_fourteen_days_at_least(store: Store, ring: KeyRing, began: float):
    """Without an expiry a delivery is known for a whole period, and forgotten after two."""
    clock = Clock(store)
    first = new_entry("jti")
    assert not clock.append(prepare(first, ring), began).duplicate
    for later in (0.0, 0.4, 0.99):
        result = clock.append(prepare(new_entry("jti"), ring), began + later)
        assert Appended(first.delivery, True) == result
    assert not clock.append(prepare(new_entry("jti"), ring), 2.0).duplicate


@pytest.mark.parametrize("expires", [0.5, 1.2, 2.0, 2.7, 3.1, 4.5, 9.0, 20.0])
def test_a_claim_outlives_its_token(store: Store, ring: KeyRing, expires: float):
    """At whatever moment before its token's expiry a delivery comes again, it is known."""
    clock = Clock(store)
    for number, again in enumerate(step * 0.25 for step in range(1, int(expires * 4) + 1)):
        expires_at = clock.start + expires * CLAIM_PERIOD_SECONDS
        first = new_entry(f"jti{number}", f"d{number}", expires_at=expires_at)
        copy = new_entry(f"jti{number}", expires_at=expires_at)
        assert not clock.append(prepare(first, ring), 0.0).duplicate
        assert Appended(first.delivery, True) == clock.append(prepare(copy, ring), again), again
        store.command("FLUSHDB")


def test_a_token_without_end_holds_no_claim_for_ever(store: Store, ring: KeyRing):
    """An expiry in the year 9999 binds a claim for at most some 400 days."""
    append_all(store, ring, [new_entry("jti", expires_at=253_402_300_799.0)])
    now = int(store.command("TIME")[0])
    ends = [store.command("EXPIRETIME", name) for name in _periods(store)]
    assert all(now < end < now + 400 * 86400 + 2 * CLAIM_PERIOD_SECONDS for end in ends)


def test_where_claims_lie(store: Store, ring: KeyRing):
    """All claims of a period lie in one hash, which goes as a whole a period after its end."""
    entry = new_entry("jti")
    append_all(store, ring, [entry])
    period = int(store.command("TIME")[0]) // CLAIM_PERIOD_SECONDS
    raw, name = raw_id(entry.delivery), f"{KEYS.claims}{period}"
    assert [name.encode()] == _periods(store)
    ((stream_id, _),) = store.command("XRANGE", KEYS.log, "-", "+")
    assert {raw: stream_id, claim("jti"): raw} == store.command("HGETALL", name)
    assert (period + 2) * CLAIM_PERIOD_SECONDS == store.command("EXPIRETIME", name)


@pytest.mark.parametrize(("age", "known"), [(0, True), (1, True), (2, False)])
def test_claims_of_earlier_periods(store: Store, ring: KeyRing, age: int, known: bool):
    """This period's claims and the last one's count; older ones do not."""
    period = int(store.command("TIME")[0]) // CLAIM_PERIOD_SECONDS - age
    held, holder = claim("jti"), raw_id(new_entry().delivery)
    store.command("HSET", f"{KEYS.claims}{period}", held, holder)
    assert known == append_all(store, ring, [new_entry("jti")])[0].duplicate


def test_a_claim_costs_tens_of_bytes(store: Store, ring: KeyRing):
    """Over some thousand deliveries with three claims each, a claim costs under 80 bytes."""
    for start in range(0, 3000, 100):
        numbers = range(start, start + 100)
        append_all(store, ring, [new_entry(f"j{n}", f"d{n}", f"o{n}") for n in numbers])
    periods = _periods(store)
    sizes = store.batch([("MEMORY", "USAGE", name, "SAMPLES", 0) for name in periods])
    claims = sum(store.batch([("HLEN", name) for name in periods]))
    print(f"{claims} claims, {sum(sizes) / claims:.1f} bytes each")
    assert claims == 3000 * 4
    assert sum(sizes) / claims < 80
