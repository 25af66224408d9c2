"""The log: append deliveries each at most once, read them in order, look at them, drop old ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Command, Store, script
from innkeeper.store.entry import (
    FIELDS,
    Captured,
    Entry,
    NewEntry,
    delivery_id,
    open_captured,
    raw_id,
    read_entry,
)
from innkeeper.store.keys import TRIMMED, keys_of
from innkeeper.store.partitions import PARTITIONS, partition_in, partition_of

CLAIM_PERIOD_SECONDS = 14 * 86400
MAX_APPEND_DELIVERIES = 100
MAX_APPEND_BYTES = 1 << 20
MAX_READ_ENTRIES = 100
MAX_READ_BYTES = 4 << 20
REPEATS = b"="
"""Behind an id among the claims: it leads to the id of the delivery that it repeats."""
_EARLY_MILLISECONDS = 60_000
_SEARCHED_ENTRIES = 1000


class Appended(NamedTuple):
    """What became of an append: stored under this id, or a duplicate of that one."""

    delivery: DeliveryId
    duplicate: bool


class Prepared(NamedTuple):
    """An entry made ready to be appended: encrypted, `size` bytes of it."""

    delivery: DeliveryId
    partition: int
    instance: str
    arguments: list[Any]
    size: int


def prepare(entry: NewEntry, ring: KeyRing) -> Prepared:
    """Encrypt an entry. Done for each alone, so that none can spoil a batch."""
    arguments = entry.arguments(ring)
    size = sum(len(part) for part in arguments if isinstance(part, bytes))
    partition = partition_of(entry.instance)
    return Prepared(entry.delivery, partition, str(entry.instance), arguments, size)


class Carrier(Protocol):
    """Whatever waits with an entry to be appended."""

    @property
    def entry(self) -> Prepared:
        """What is to be appended."""


Carrying = TypeVar("Carrying", bound=Carrier)


def grouped(carriers: Iterable[Carrying]) -> list[list[Carrying]]:
    """By partition, each in its order, no group over the bounds of one call."""
    groups: list[list[Carrying]] = []
    open_groups: dict[int, tuple[list[Carrying], int]] = {}
    for one in carriers:
        partition, size = one.entry.partition, one.entry.size
        group, held = open_groups.get(partition, ([], 0))
        if not group or len(group) == MAX_APPEND_DELIVERIES or held + size > MAX_APPEND_BYTES:
            group, held = [], 0
            groups.append(group)
        group.append(one)
        open_groups[partition] = (group, held + size)
    return groups


def entries_of(carriers: Iterable[Carrier]) -> list[Prepared]:
    """What they carry."""
    return [one.entry for one in carriers]


def append_command(entries: Sequence[Prepared]) -> Command:
    """The call that appends entries of one partition."""
    keys = keys_of(entries[0].partition)
    arguments: list[Any] = [CLAIM_PERIOD_SECONDS, len(FIELDS)]
    for entry in entries:
        arguments += entry.arguments
    names = [keys.log, keys.counts, keys.claims, keys.events, keys.bodies]
    return script("append").call(names, arguments)


def read_appended(entries: Sequence[Prepared], answer: list[list[Any]]) -> list[Appended]:
    """What the append script answered, in our words."""
    results = []
    for entry, (stored, value) in zip(entries, answer, strict=True):
        first = entry.delivery if stored else delivery_id(entry.partition, value)
        results.append(Appended(first, not stored))
    return results


def resolving_commands(entry: Prepared, first: DeliveryId, *, now: float) -> list[Command]:
    """The calls by which an id leads to the delivery that it turned out to repeat.

    For what was told as accepted before its claims could be looked up. They live as claims do.
    """
    period = int(now) // CLAIM_PERIOD_SECONDS
    name = f"{keys_of(entry.partition).claims}{period}"
    return [
        ("HSET", name, raw_id(entry.delivery) + REPEATS, raw_id(first)),
        ("EXPIREAT", name, (period + 2) * CLAIM_PERIOD_SECONDS, "NX"),
    ]


class Batch(NamedTuple):
    """Entries behind a cursor, and the cursor they were read at."""

    cursor: str
    entries: list[Entry]


class Log:
    """The entries of all partitions. Every method raises StoreError, StoreUnavailable."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        """Use `store`; `ring` opens what is encrypted."""
        self._store = store
        self._ring = ring

    def append(self, entry: NewEntry) -> Appended:
        """Append one entry. The receiver has its own way, many at a time."""
        prepared = [prepare(entry, self._ring)]
        return read_appended(prepared, self._store.command(*append_command(prepared)))[0]

    def read(self, partition: int) -> Batch:
        """What lies behind the cursor: at most 100 entries or about 4 MiB."""
        keys = keys_of(partition)
        names = [keys.log, keys.cursor, keys.events]
        call = script("read").call(names, [MAX_READ_ENTRIES, MAX_READ_BYTES])
        cursor, found = self._store.command(*call)
        entries = [
            read_entry(partition, stream_id, values, sealed=event)
            for stream_id, event, *values in found
        ]
        return Batch(cursor.decode(), entries)

    def slices(
        self, starts: Mapping[int, str], *, limit: int, oldest_first: bool = False
    ) -> list[list[Entry]]:
        """Of each partition the first entries from a stream id on, without encrypted parts.

        `starts`: partition to stream id; `(` before one leaves it out, `+` and `-` are the ends.
        """
        calls = []
        for partition, start in starts.items():
            keys = keys_of(partition)
            way = "oldest" if oldest_first else ""
            arguments = [start, limit, way]
            calls.append(script("browse").call([keys.log, keys.outcomes], arguments))
        answers = zip(starts, self._store.batch(calls), strict=True)
        return [
            [
                read_entry(partition, stream_id, values, outcome=outcome.decode())
                for stream_id, outcome, *values in answer
            ]
            for partition, answer in answers
        ]

    def pieces(self, partition: int, *, limit: int) -> Iterator[list[Entry]]:
        """A partition's entries without encrypted parts, oldest first, `limit` at a time."""
        start = "-"
        while start:
            found = self.slices({partition: start}, limit=limit, oldest_first=True)[0]
            if found:
                yield found
            start = f"({found[-1].stream_id}" if len(found) == limit else ""

    def find(self, delivery: DeliveryId) -> Entry | None:
        """An entry by its id, with its encrypted event; None when it is not kept (any more)."""
        partition, raw = partition_in(delivery), raw_id(delivery)
        stream_id = self.stored([delivery]).get(delivery)
        if stream_id is not None:
            return self.at(partition, stream_id)
        # Kept for longer than claims are: it came soon after its id was made.
        start = f"{max(0, int.from_bytes(raw[:6], 'big') - _EARLY_MILLISECONDS)}"
        found = self.slices({partition: start}, limit=_SEARCHED_ENTRIES, oldest_first=True)[0]
        near = next((entry for entry in found if entry.delivery == delivery), None)
        return self.at(partition, near.stream_id) if near else None

    def at(self, partition: int, stream_id: str) -> Entry | None:
        """An entry by its place in the log, with its encrypted event; None when it is not kept."""
        keys = keys_of(partition)
        found = self._store.command("XRANGE", keys.log, stream_id, stream_id)
        if not found:
            return None
        values = list(found[0][1].values())
        event, outcome = self._store.batch(
            [("HGET", keys.events, values[0]), ("HGET", keys.outcomes, values[0])]
        )
        if event is None:
            return None
        outcome = (outcome or b"").decode()
        return read_entry(partition, found[0][0], values, sealed=event, outcome=outcome)

    def captured(self, entry: Entry) -> Captured:
        """What came over the wire. Raises LookupError when it was trimmed since."""
        partition = partition_of(entry.instance)
        sealed = self._store.command("HGET", keys_of(partition).bodies, raw_id(entry.delivery))
        if sealed is None:
            raise LookupError(f"{entry.delivery} is no longer kept")
        return open_captured(self._ring, partition, entry.delivery, sealed)

    def outcome(self, delivery: DeliveryId) -> str:
        """What became of a delivery; empty where it waits to be folded, or is no longer kept."""
        keys = keys_of(partition_in(delivery))
        answer = self._store.command("HGET", keys.outcomes, raw_id(delivery))
        return (answer or b"").decode()

    def held_bytes(self) -> list[int]:
        """How many bytes of entries each partition holds."""
        calls = [("HGET", keys_of(partition).counts, "bytes") for partition in PARTITIONS]
        return [int(answer or 0) for answer in self._store.batch(calls)]

    def trim_is_due(self) -> bool:
        """Whether nobody has claimed the trimming for a while."""
        return not self._store.command("EXISTS", TRIMMED)

    def claim_trim(self, seconds: int) -> bool:
        """Take the trimming upon oneself; False if somebody did within `seconds`."""
        return bool(self._store.command("SET", TRIMMED, 1, "NX", "EX", seconds))

    def stored(self, deliveries: Sequence[DeliveryId]) -> dict[DeliveryId, str]:
        """Of deliveries that were taken in while claims live: their places in the log.

        Of one that turned out to repeat another, the other's.
        """
        own = {delivery: raw_id(delivery) for delivery in deliveries}
        held = self._claims(own)
        firsts = {
            delivery: delivery_id(partition_in(delivery), first)
            for delivery, raw in own.items()
            if not held.get((delivery, raw)) and (first := held.get((delivery, raw + REPEATS)))
        }
        held |= self._claims({first: raw_id(first) for first in firsts.values()})
        leads = {delivery: firsts.get(delivery, delivery) for delivery in own}
        places = {one: held.get((first, raw_id(first))) for one, first in leads.items()}
        return {one: place.decode() for one, place in places.items() if place}

    def _claims(self, own: Mapping[DeliveryId, bytes]) -> dict[tuple[DeliveryId, bytes], bytes]:
        """What deliveries' own ids hold among the claims, and what the ids that lead on hold."""
        asked: dict[str, list[tuple[DeliveryId, bytes]]] = {}
        for delivery, raw in own.items():
            # The period in which the delivery came, or the one after.
            period = int.from_bytes(raw[:6], "big") // 1000 // CLAIM_PERIOD_SECONDS
            for step in (0, 1, -1):
                name = f"{keys_of(partition_in(delivery)).claims}{period + step}"
                asked.setdefault(name, []).extend([(delivery, raw), (delivery, raw + REPEATS)])
        calls = [("HMGET", name, *(field for _, field in one)) for name, one in asked.items()]
        answers = self._store.batch(calls) if calls else []
        pairs = zip(asked.values(), answers, strict=True)
        found = (pair for which, values in pairs for pair in zip(which, values, strict=True))
        return {place: value for place, value in found if value}
