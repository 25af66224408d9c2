"""The log: read in order and in bounds, looked at, found again, encrypted, trimmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey, Mark
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.secrets import Damaged, KeyRing, MissingKey
from innkeeper.store.connection import Store
from innkeeper.store.entry import Captured, EntrySource, NewEntry, new_delivery_id, raw_id
from innkeeper.store.keys import TRIMMED, keys_of
from innkeeper.store.log import MAX_APPEND_DELIVERIES, MAX_READ_BYTES, MAX_READ_ENTRIES, Log
from tests.standing import newest, standing_of
from tests.store.making import (
    NOW,
    PARTITION,
    append_all,
    begin,
    contents,
    finish,
    key_in,
    logged,
    new_entry,
    new_work,
    trim,
)

KEYS = keys_of(PARTITION)
CANARY = "canary-7f3a-never-in-clear"


@pytest.fixture
def log(store: Store, ring: KeyRing) -> Log:
    """The log of the empty store."""
    return Log(store, ring)


def _fill(store: Store, ring: KeyRing, count: int) -> list[NewEntry]:
    entries = [new_entry(at=NOW + number) for number in range(count)]
    for start in range(0, count, MAX_APPEND_DELIVERIES):
        append_all(store, ring, entries[start : start + MAX_APPEND_DELIVERIES])
    return entries


def _ids(entries: list[NewEntry]) -> list[DeliveryId]:
    return [entry.delivery for entry in entries]


# Reading


def test_an_empty_partition(log: Log):
    """Nothing lies behind the cursor of a partition that nothing was appended to."""
    assert log.read(PARTITION) == ("0-0", [])


def test_read_gives_what_was_appended(store: Store, log: Log, ring: KeyRing):
    """An entry comes back as it was put in, with its event and without the bytes of its body."""
    event = Event(
        type="app_instance.update",
        kind=EventKind.STATED,
        order=OrderKey(OrderKind.AUDIT, 48289),
        hint=True,
        secrets={"application.client_secret": CANARY},
    )
    replayed = new_delivery_id(key_in())
    entry = new_entry(
        event=event,
        at=NOW + 0.125,
        source=EntrySource.REPLAY,
        mark=Mark.TEST,
        replays=replayed,
        follow_ups=True,
        captured=Captured(body=b"x" * 321),
    )
    log.append(entry)
    cursor, (found,) = log.read(PARTITION)
    assert cursor == "0-0"
    assert entry.delivery == found.delivery
    assert (entry.instance, NOW + 0.125, "fingerprint") == (found.instance, found.at, found.signer)
    assert (found.source, found.mark, found.hint) == (EntrySource.REPLAY, Mark.TEST, True)
    assert (replayed, True, 321) == (found.replays, found.follow_ups, found.size)
    assert (event.order, "") == (found.order, found.outcome)
    assert abs(int(store.command("TIME")[0]) - found.millis / 1000) < 5
    assert event == found.event(ring)


@pytest.mark.parametrize("mark", [None, *Mark])
def test_marks_survive(log: Log, mark: Mark | None):
    """Each mark comes back, and no mark as none."""
    log.append(new_entry(mark=mark))
    (found,) = log.read(PARTITION).entries
    assert (mark, False, None) == (found.mark, found.hint, found.replays)


def test_names_with_odd_characters(log: Log, ring: KeyRing):
    """An instance's name survives with slashes, spaces and whatever else an account may hold."""
    key = InstanceKey("rebilly", "app", "Ü/ a|b\n'{x}' ☃")
    entry = new_entry(key=key, delivery=new_delivery_id(key))
    log.append(entry)
    found = log.find(entry.delivery)
    assert found is not None
    assert (key, entry.event) == (found.instance, found.event(ring))


def test_read_ends_after_so_many_entries(store: Store, log: Log, ring: KeyRing):
    """At most 100 entries are read at once, the oldest, in order; the next ones from the cursor."""
    entries = _fill(store, ring, 150)
    batch = log.read(PARTITION)
    assert MAX_READ_ENTRIES == 100
    assert _ids(entries[:100]) == [entry.delivery for entry in batch.entries]
    finish(store, begin(store), batch.entries[-1].stream_id)
    rest = log.read(PARTITION)
    assert batch.entries[-1].stream_id == rest.cursor
    assert _ids(entries[100:]) == [entry.delivery for entry in rest.entries]


def test_read_ends_after_4_mib(store: Store, log: Log, ring: KeyRing):
    """Some 4 MiB of events are read at once, however few entries that are; and one at least."""
    big = Event(type="x", kind=EventKind.OTHER, payload="x" * 900_000)
    for _ in range(7):
        append_all(store, ring, [new_entry(event=big)])
    assert MAX_READ_BYTES == 4 << 20
    assert len(log.read(PARTITION).entries) == 5
    store.command("FLUSHALL")
    huge = Event(type="x", kind=EventKind.OTHER, payload="x" * (MAX_READ_BYTES + 1))
    append_all(store, ring, [new_entry(event=huge)])
    append_all(store, ring, [new_entry()])
    assert len(log.read(PARTITION).entries) == 1


def test_bodies_do_not_count_for_reads(store: Store, log: Log, ring: KeyRing):
    """The captured bytes, which no fold needs, take no room in a batch."""
    for _ in range(8):
        append_all(store, ring, [new_entry(captured=Captured(body=b"x" * 900_000))])
    assert len(log.read(PARTITION).entries) == 8


# Looking


def test_browse_goes_backwards(store: Store, log: Log, ring: KeyRing):
    """Entries are shown newest first, page after page, without what is encrypted."""
    entries = _fill(store, ring, 7)
    first = newest(log, PARTITION, limit=4)
    assert _ids(entries[:2:-1]) == [entry.delivery for entry in first]
    rest = newest(log, PARTITION, before=f"({first[-1].stream_id}", limit=4)
    assert _ids(entries[2::-1]) == [entry.delivery for entry in rest]
    assert [entry.sealed for entry in first + rest] == [b""] * 7
    assert newest(log, PARTITION, before=f"({rest[-1].stream_id}") == []


def test_slices_of_several_partitions(store: Store, log: Log, ring: KeyRing):
    """Each partition is shown from a place of its own on, newest or oldest first."""
    entries = _fill(store, ring, 5)
    other = new_entry(key=key_in(8))
    log.append(other)
    places = [entry.stream_id for entry in log.read(PARTITION).entries]
    newest = log.slices({8: "+", PARTITION: f"({places[3]}", 9: "+"}, limit=2)
    assert [[other.delivery], _ids(entries[2:0:-1]), []] == [
        [entry.delivery for entry in found] for found in newest
    ]
    oldest = log.slices({PARTITION: places[1], 8: "-"}, limit=3, oldest_first=True)
    assert [_ids(entries[1:4]), [other.delivery]] == [
        [entry.delivery for entry in found] for found in oldest
    ]


def test_outcomes_are_shown(store: Store, log: Log, ring: KeyRing):
    """What became of an entry is told wherever it is looked at; empty while it waits."""
    done, waits = _fill(store, ring, 2)
    commit = begin(store)
    commit.outcome(done.delivery, "applied")
    finish(store, commit)
    assert [entry.outcome for entry in newest(log, PARTITION)] == ["", "applied"]
    found = log.find(done.delivery)
    assert found is not None
    assert (
        found.outcome,
        log.outcome(done.delivery),
        log.outcome(waits.delivery),
    ) == ("applied", "applied", "")


def test_found_among_many(store: Store, log: Log, ring: KeyRing):
    """An entry is found by its id, also when many came after it, with its encrypted event."""
    entries = _fill(store, ring, 2000)
    for entry in (entries[0], entries[1000], entries[-1]):
        found = log.find(entry.delivery)
        assert found is not None
        assert (entry.delivery, entry.event) == (found.delivery, found.event(ring))
        assert found == log.at(PARTITION, found.stream_id)


def test_found_whatever_the_receivers_clock_said(store: Store, log: Log):
    """An entry is found when its id was made up to a claim period before or after it came in."""
    server_time = int(store.command("TIME")[0])
    for off in (-13 * 86400, -600, 600, 13 * 86400):
        entry = new_entry(delivery=new_delivery_id(key_in(), now=server_time + off))
        log.append(entry)
        assert log.find(entry.delivery) is not None, off


def test_what_is_not_there(log: Log):
    """An id that was never given out finds nothing, and one of no known form raises ValueError."""
    log.append(new_entry())
    assert log.find(new_delivery_id(key_in())) is None
    assert log.at(PARTITION, "1-1") is None
    for name in ("7--", "64-" + "0" * 32, "wdc"):
        with pytest.raises(ValueError, match="no such id"):
            log.find(DeliveryId(name))


def test_captured_bytes_are_exact(store: Store, log: Log):
    """What came over the wire comes back byte for byte."""
    captured = Captured(
        app="app",
        query="account=wdc&x=%00",
        headers=(("content-type", "application/json"), ("x-odd", "é\x7f")),
        body=bytes(range(256)) * 10 + '{"é": "\\ud83d\\ude00"}\r\n'.encode(),
    )
    entry = new_entry(captured=captured)
    log.append(entry)
    found = log.find(entry.delivery)
    assert found is not None
    assert captured == log.captured(found)
    store.command("DEL", KEYS.bodies)
    with pytest.raises(LookupError, match="no longer kept"):
        log.captured(found)


# Encryption


def test_nothing_is_in_clear(store: Store, log: Log, valkey_folder: Path):
    """Neither secrets nor bodies stand in clear in any key or in the append-only file."""
    event = Event(
        type="app_instance.secrets_update",
        kind=EventKind.SECRETS,
        secrets={"application.client_secret": CANARY},
        payload={"custom": CANARY},
        stated={"note": CANARY},
    )
    captured = Captured(
        app="app", query=CANARY, headers=(("x", CANARY),), body=CANARY.encode() * 50
    )
    entry = new_entry(CANARY, event=event, captured=captured)
    log.append(entry)
    clear = CANARY.encode()
    assert not any(clear in key or clear in dump for key, dump in contents(store).items())
    files = [file for file in valkey_folder.rglob("*") if file.is_file()]
    written = b"".join(file.read_bytes() for file in files)
    assert raw_id(entry.delivery) in written
    assert clear not in written


def test_another_ring_opens_nothing(store: Store, log: Log):
    """Under another key ring an entry is read, and its content says that the key is missing."""
    log.append(new_entry())
    other = KeyRing([b"o" * 32])
    (found,) = Log(store, other).read(PARTITION).entries
    with pytest.raises(MissingKey):
        found.event(other)
    with pytest.raises(MissingKey):
        Log(store, other).captured(found)


def test_a_rotated_ring_opens_what_is_old(store: Store, log: Log, ring: KeyRing):
    """With a new key in front and the old one behind it, old entries are opened."""
    entry = new_entry()
    log.append(entry)
    (found,) = log.read(PARTITION).entries
    assert entry.event == found.event(KeyRing([b"n" * 32, bytes(range(32))]))


@pytest.mark.parametrize("part", ["events", "bodies"])
def test_moved_content_is_damaged(store: Store, log: Log, ring: KeyRing, part: str):
    """What was encrypted for one entry cannot be passed off as that of another."""
    one, other = new_entry(), new_entry()
    append_all(store, ring, [one, other])
    name = getattr(KEYS, part)
    moved = store.command("HGET", name, raw_id(one.delivery))
    store.command("HSET", name, raw_id(other.delivery), moved)
    found = log.read(PARTITION).entries[1]
    assert other.delivery == found.delivery
    with pytest.raises(Damaged):
        found.event(ring) if part == "events" else log.captured(found)


# Trimming


def test_one_trims_for_all(store: Store, log: Log):
    """Of those who would trim one does, and is due again only when its time is over."""
    assert log.trim_is_due()
    assert [log.claim_trim(60), log.claim_trim(60)] == [True, False]
    assert not log.trim_is_due()
    store.command("DEL", TRIMMED)
    assert log.trim_is_due()


def test_held_bytes(store: Store, log: Log, ring: KeyRing):
    """Each partition tells how many bytes of entries it holds."""
    _fill(store, ring, 3)
    held = log.held_bytes()
    assert len(held) == 64
    assert standing_of(store).counts["bytes"] == held[PARTITION] == sum(held) > 0


def _fold_all(store: Store, log: Log) -> list[str]:
    """Move the cursor to the end; the entries' places."""
    places = []
    while entries := log.read(PARTITION).entries:
        commit = begin(store)
        for entry in entries:
            commit.outcome(entry.delivery, "applied")
        places += [entry.stream_id for entry in entries]
        finish(store, commit, entries[-1].stream_id)
    return places


def _trim(store: Store, *, before_millis: int = 0, most_bytes: int = 1 << 40) -> int:
    gone = 0
    while went := trim(store, before_millis=before_millis, most_bytes=most_bytes):
        gone += went
    return gone


def _millis(place: str) -> int:
    return int(place.partition("-")[0])


def _spaced(store: Store, ring: KeyRing, count: int, start: int = 1_700_000_000_000) -> list[str]:
    """Entries that came a second apart, put into the log by hand; all folded."""
    append_all(store, ring, [new_entry() for _ in range(count)])
    found = store.command("XRANGE", KEYS.log, "-", "+")
    store.command("DEL", KEYS.log)
    for number, (_, fields) in enumerate(found):
        parts = (part for pair in fields.items() for part in pair)
        store.command("XADD", KEYS.log, f"{start + 1000 * number}-0", *parts)
    return _fold_all(store, Log(store, ring))


def test_trim_by_age(store: Store, log: Log, ring: KeyRing):
    """What is older than the limit goes, and nothing that is as old or younger."""
    places = _spaced(store, ring, 10)
    assert _trim(store, before_millis=_millis(places[4])) == 4
    assert len(logged(store)) == 6
    assert log.at(PARTITION, places[4]) is not None
    assert standing_of(store).counts["trimmed"] == 4


def test_trim_by_bytes(store: Store, log: Log, ring: KeyRing):
    """Over the bytes allowed the oldest go, however young, until the rest fits."""
    _fill(store, ring, 20)
    _fold_all(store, log)
    held = standing_of(store).counts["bytes"]
    gone = _trim(store, most_bytes=held // 2)
    assert 10 <= gone <= 11
    assert standing_of(store).counts["bytes"] <= held // 2
    assert 20 - gone == len(logged(store))


def test_bytes_are_counted_exactly(store: Store, log: Log, ring: KeyRing):
    """When everything has been trimmed, no byte is held."""
    _fill(store, ring, 250)
    _fold_all(store, log)
    assert _trim(store, most_bytes=0) == 250
    assert (standing_of(store).counts["bytes"], standing_of(store).counts["trimmed"]) == (0, 250)
    assert logged(store) == []


def test_trim_in_slices(store: Store, log: Log, ring: KeyRing):
    """One call drops at most 100 entries."""
    _fill(store, ring, 250)
    _fold_all(store, log)
    went = [trim(store) for _ in range(4)]
    assert went == [100, 100, 50, 0]


def test_never_past_the_cursor(store: Store, log: Log, ring: KeyRing):
    """What has not been folded stays, whatever its age and the bytes held."""
    _fill(store, ring, 10)
    assert _trim(store, before_millis=1 << 50, most_bytes=0) == 0
    places = [entry.stream_id for entry in log.read(PARTITION).entries]
    finish(store, begin(store), places[3])
    assert _trim(store, before_millis=1 << 50, most_bytes=0) == 4
    assert places[4:] == [entry.stream_id for entry in log.read(PARTITION).entries]


def test_appends_go_on_behind_an_emptied_log(store: Store, log: Log, ring: KeyRing):
    """After all was trimmed the next entry still comes behind the cursor."""
    _fill(store, ring, 3)
    _fold_all(store, log)
    _trim(store, before_millis=1 << 50)
    entry = new_entry()
    log.append(entry)
    assert [entry.delivery] == [found.delivery for found in log.read(PARTITION).entries]


def test_never_past_a_pin(store: Store, log: Log, ring: KeyRing):
    """An entry that unfinished work names is kept, and all behind it, until the work is done."""
    places = _spaced(store, ring, 6)
    commit = begin(store)
    commit.work(new_work("w", entry=places[3]))
    finish(store, commit)
    assert _trim(store, before_millis=1 << 50, most_bytes=0) == 3
    assert log.at(PARTITION, places[3]) is not None
    store.command("ZREM", KEYS.pins, "w")
    assert _trim(store, before_millis=1 << 50, most_bytes=0) == 3


def test_outcomes_go_with_their_entries(store: Store, log: Log, ring: KeyRing):
    """A trimmed entry's outcome is no longer kept, the others' are, and nothing finds it."""
    places = _spaced(store, ring, 4)
    deliveries = [entry.delivery for entry in reversed(newest(log, PARTITION))]
    _trim(store, before_millis=_millis(places[2]))
    assert [log.outcome(one) for one in deliveries] == ["", "", "applied", "applied"]
    assert log.find(deliveries[0]) is None
    assert store.command("HLEN", KEYS.outcomes) == 2


def test_a_trimmed_delivery_is_still_known(store: Store, log: Log, ring: KeyRing):
    """Trimming forgets the entry, not its claims: the same delivery again is a duplicate."""
    entry = new_entry("jti")
    log.append(entry)
    _fold_all(store, log)
    _trim(store, before_millis=1 << 50)
    assert (entry.delivery, True) == log.append(new_entry("jti"))
    assert logged(store) == []
