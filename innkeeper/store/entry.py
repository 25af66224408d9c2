"""An entry of the log: what is readable by scripts, and what is encrypted.

Made by the receiver (and by operators' replays), read by apply and by whoever asks what came in.
"""

from __future__ import annotations

import os
import time
from enum import StrEnum
from typing import Any

import msgspec

from innkeeper.lifecycle.events import DeliveryId, Event, InstanceKey, Mark
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.secrets import KeyRing
from innkeeper.store.partitions import partition_of

FIELDS = ("id", "at", "instance", "source", "signer", "order", "size", "marks")
"""The fields of an entry, always all of them and in this order. What is encrypted lies beside the
stream, so that no look at an entry copies its body."""
EVENT, BODY = "event", "body"
"""The purposes for which the two are sealed; their place is the delivery's id."""
# JSON, since an event holds what came as JSON: msgpack has no number beyond 64 bits.
_events = msgspec.json.Decoder(Event)


class EntrySource(StrEnum):
    """How a fact came to us."""

    DELIVERY = "delivery"
    READ = "read"
    RECONCILE = "reconcile"
    POLL = "poll"
    IMPORT = "import"
    REPLAY = "replay"
    OPERATOR = "operator"


class Captured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A delivery as it came over the wire, less credentials; kept encrypted."""

    app: str | None = None
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A fact on its way into the log.

    `at`: seconds since the epoch. `claims`: 12 bytes each. `replays`: the delivery that this one is
    a repetition of, by an operator; `follow_ups`: whether that sets off anything again.
    """

    delivery: DeliveryId
    instance: InstanceKey
    at: float
    source: EntrySource = EntrySource.DELIVERY
    event: Event
    mark: Mark | None = None
    signer: str
    claims: tuple[bytes, ...] = ()
    expires_at: float | None = None
    replays: DeliveryId | None = None
    follow_ups: bool = False
    captured: Captured

    def arguments(self, ring: KeyRing) -> list[Any]:
        """What the append script takes for this entry."""
        own = raw_id(self.delivery)
        values = (own, *self._readable())
        fields = [part for pair in zip(FIELDS, values, strict=True) for part in pair]
        claims = (len(self.claims), *self.claims)
        return [own, int(self.expires_at or 0), *claims, *fields, *self._sealed(ring)]

    def _readable(self) -> tuple[Any, ...]:
        event, replays = self.event, self.replays
        marks = [self.mark or "", "hint" if event.hint else ""]
        marks += [f"replays={replays}" if replays else "", "follow_ups" if self.follow_ups else ""]
        size = len(self.captured.body)
        order = str(event.order) if event.order else ""
        return (
            int(self.at * 1000), str(self.instance).encode(), self.source, self.signer, order, size,
            " ".join(filter(None, marks)),
        )  # fmt: skip

    def _sealed(self, ring: KeyRing) -> tuple[bytes, bytes]:
        partition = partition_of(self.instance)
        event, captured = msgspec.json.encode(self.event), msgspec.msgpack.encode(self.captured)
        return (
            ring.seal(EVENT, partition, self.delivery, event, now=self.at),
            ring.seal(BODY, partition, self.delivery, captured, now=self.at),
        )


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log, as read. `sealed`: the encrypted event, where it was asked for.

    `outcome`: what became of it; empty while it waits to be folded. `size`: of the body in bytes.
    """

    stream_id: str
    delivery: DeliveryId
    at: float
    instance: InstanceKey
    source: EntrySource
    signer: str
    order: OrderKey | None
    size: int
    mark: Mark | None
    hint: bool
    replays: DeliveryId | None
    follow_ups: bool
    outcome: str = ""
    sealed: bytes = b""

    @property
    def millis(self) -> int:
        """When the store took it in, in milliseconds since the epoch."""
        return int(self.stream_id.partition("-")[0])

    def event(self, ring: KeyRing) -> Event:
        """The normalised event. Raises MissingKey, Damaged, msgspec.DecodeError."""
        partition = partition_of(self.instance)
        return _events.decode(ring.open(EVENT, partition, self.delivery, self.sealed))


def read_entry(partition: int, stream_id: bytes, values: list[bytes], **more: Any) -> Entry:
    """Build an entry from the values of its fields."""
    texts = [value.decode() for value in values[1:]]
    at, instance, source, signer, order, size, marks = texts
    words = marks.split()
    replays = next((word[8:] for word in words if word.startswith("replays=")), None)
    kind, _, number = order.partition(":")
    return Entry(
        stream_id=stream_id.decode(),
        delivery=delivery_id(partition, values[0]),
        at=int(at) / 1000,
        instance=InstanceKey.parse(instance),
        source=EntrySource(source),
        signer=signer,
        order=OrderKey(OrderKind(kind), int(number)) if order else None,
        size=int(size),
        mark=next((Mark(word) for word in words if word in list(Mark)), None),
        hint="hint" in words,
        replays=DeliveryId(replays) if replays else None,
        follow_ups="follow_ups" in words,
        **more,
    )


def open_captured(ring: KeyRing, partition: int, delivery: DeliveryId, sealed: bytes) -> Captured:
    """The captured delivery of an entry. Raises MissingKey, Damaged."""
    plain = ring.open(BODY, partition, delivery, sealed)
    return msgspec.msgpack.decode(plain, type=Captured)


def place(stream_id: str) -> tuple[int, int]:
    """A stream id as numbers, which compare in the order of the log; (0, 0) for none."""
    millis, _, number = stream_id.partition("-")
    return (int(millis), int(number or 0)) if millis.isdigit() else (0, 0)


def new_delivery_id(instance: InstanceKey, *, now: float | None = None) -> DeliveryId:
    """An id of our own: `<partition>-<uuid7>`, made before anything is stored anywhere."""
    millis = int((time.time() if now is None else now) * 1000)
    raw = bytearray(millis.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return delivery_id(partition_of(instance), raw)


def raw_id(delivery: DeliveryId) -> bytes:
    """The 16 bytes under which scripts know a delivery. Raises ValueError for what is no id."""
    raw = bytes.fromhex(delivery.partition("-")[2].replace("-", ""))
    if len(raw) != 16:
        raise ValueError(f"no such id: {delivery:.80}")
    return raw


def delivery_id(partition: int, raw: bytes | bytearray) -> DeliveryId:
    """The reverse of `raw_id`."""
    text = raw.hex()
    uuid = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return DeliveryId(f"{partition}-{uuid}")
