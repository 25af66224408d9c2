"""What came in: listed over all partitions, shown one by one, exported as captured.

Asked by the console's API and the command line. Secrets are told by name only; a captured body
that may hold any is given out only to whoever asks for it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import msgspec

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey, Mark
from innkeeper.lifecycle.machine import Outcome
from innkeeper.operations.captured import CapturedLine
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import rfc3339, seconds_utc
from innkeeper.operations.instances import read_key
from innkeeper.operations.merging import walk
from innkeeper.operations.questions import (
    Asked,
    BadQuestion,
    Page,
    checked,
    read_cursor,
    refuse,
    write_cursor,
)
from innkeeper.store.entry import Entry, EntrySource, place
from innkeeper.store.partitions import PARTITIONS, partition_in, partition_of

WAITING = "waiting"
OUTCOMES = (WAITING, *(str(o) for o in Outcome), "dead", *(str(m) for m in Mark))
_FILTERS = ("platform", "app", "instance", "mark", "outcome")
_TOKEN = b'"token"'

Place = tuple[int, int, int]
"""Where an entry stands among all: milliseconds and number of its stream id, and partition."""
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
_CURSOR = tuple[_Number, _Number, _Number]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries are asked for; None: any."""

    platform: str | None = None
    app: str | None = None
    instance: InstanceKey | None = None
    mark: str | None = None
    outcome: str | None = None
    per_page: int = 20
    after: Place | None = None

    def wants(self, entry: Entry) -> bool:
        """Whether an entry is among them."""
        pairs = (
            (self.platform, entry.instance.platform),
            (self.app, entry.instance.app),
            (self.instance, entry.instance),
            (self.mark, entry.mark),
            (self.outcome, outcome_of(entry)),
        )
        return all(asked is None or asked == found for asked, found in pairs)


def read_question(asked: Asked) -> Question:
    """Check a question. Raises BadQuestion."""
    refuse(asked, "fields", "sort")
    stated: dict[str, str] = {}
    for name, value in asked.filters:
        checked("filter", name, _FILTERS)
        if name in stated:
            raise BadQuestion(f"{name} is given twice")
        stated[name] = value
    instance, mark, outcome = (stated.get(n) for n in ("instance", "mark", "outcome"))
    return Question(
        platform=stated.get("platform"),
        app=stated.get("app"),
        instance=read_key(instance) if instance is not None else None,
        mark=checked("mark", mark, [str(m) for m in Mark]) if mark is not None else None,
        outcome=checked("outcome", outcome, OUTCOMES) if outcome is not None else None,
        per_page=asked.per_page,
        after=read_cursor(asked.cursor, _CURSOR) if asked.cursor is not None else None,
    )


def list_deliveries(desk: Desk, question: Question) -> Page[Entry]:
    """A page of deliveries, the newest first. Raises StoreError, StoreUnavailable."""
    found = list(islice(_entries(desk, question), question.per_page + 1))
    page = found[: question.per_page]
    following = write_cursor(*_place(page[-1])) if len(found) > len(page) else None
    return Page(items=page, next=following)


def walk_deliveries(desk: Desk, question: Question, limit: int) -> tuple[list[Entry], bool]:
    """The newest `limit` deliveries that a question gives, and whether there are more."""
    found = list(islice(_entries(desk, question), limit + 1))
    return found[:limit], len(found) > limit


def find_delivery(desk: Desk, delivery: str) -> Entry | None:
    """One by its id, with its encrypted event; None when it is not kept (any more)."""
    try:
        partition_in(delivery)
        return desk.log.find(DeliveryId(delivery))
    except ValueError:
        return None


def entry_document(entry: Entry) -> dict[str, Any]:
    """A delivery as lists tell it."""
    return {
        "id": entry.delivery,
        "received_at": rfc3339(seconds_utc(entry.at)),
        "platform": entry.instance.platform,
        "app": entry.instance.app,
        "instance": None if entry.instance.is_pseudo else str(entry.instance),
        "source": entry.source,
        "signer": entry.signer,
        "order": str(entry.order) if entry.order else None,
        "mark": entry.mark,
        "hint": entry.hint,
        "outcome": outcome_of(entry),
        "size": entry.size,
        "replays": entry.replays,
    }


def delivery_document(desk: Desk, entry: Entry) -> dict[str, Any]:
    """A delivery with what it said. Raises MissingKey, Damaged."""
    event = entry.event(desk.ring)
    said = {
        "type": event.type,
        "kind": event.kind,
        "object_id": event.object_id,
        "offering": event.offering,
        "customer_name": event.customer_name,
        "flags": msgspec.to_builtins(event.flags) if event.flags else None,
        "facts": event.stated or None,
        "payload": event.payload,
        "secrets": sorted(event.secrets) or None,
        "signing_policy": _fingerprint(event),
        "callback_host": event.callback_host,
        "notes": list(event.notes) or None,
    }
    told = {name: value for name, value in said.items() if value is not None}
    return entry_document(entry) | {"outcome_notes": _notes(entry), "event": told}


def export_deliveries(
    desk: Desk, question: Question, *, with_secrets: bool
) -> Iterator[CapturedLine]:
    """Every delivery asked for, the oldest first, as it came over the wire.

    One whose body may hold secrets is given without it, unless `with_secrets`. Raises MissingKey,
    Damaged, StoreError, StoreUnavailable.
    """
    for entry in _entries(desk, question, oldest_first=True):
        whole = desk.log.at(partition_of(entry.instance), entry.stream_id)
        if whole is None or entry.source is EntrySource.OPERATOR:
            continue
        captured = desk.log.captured(entry)
        withheld = not with_secrets and _may_hold_secrets(whole.event(desk.ring), captured.body)
        yield CapturedLine(
            id=entry.delivery,
            received_at=seconds_utc(entry.at),
            platform=entry.instance.platform,
            app=captured.app,
            query=captured.query,
            headers=captured.headers,
            body=None if withheld else captured.body,
            withheld=withheld,
        )


def kept_of(desk: Desk, key: InstanceKey, *, look_back: int) -> Iterator[Entry]:
    """An instance's deliveries among the newest `look_back` of its partition, newest first."""
    every = Question()
    for entry in islice(_entries(desk, every, within=partition_of(key)), look_back):
        if entry.instance == key:
            yield entry


def outcome_of(entry: Entry) -> str:
    """What became of an entry, in a word."""
    return entry.outcome.partition(" ")[0] or WAITING


def _may_hold_secrets(event: Event, body: bytes) -> bool:
    # What nobody has taken apart may hold anything. A token that lives an hour is dropped from
    # the event, so that only the body tells of it.
    found = event.secrets or event.policy
    return bool(found) or event.kind is EventKind.OTHER or _TOKEN in body


def _entries(
    desk: Desk, question: Question, *, within: int | None = None, oldest_first: bool = False
) -> Iterator[Entry]:
    """The entries asked for, of all partitions, or of the one `within` which alone they can be."""
    if within is None and question.instance is not None:
        within = partition_of(question.instance)
    partitions = PARTITIONS if within is None else [within]

    def fetch(after: Place | None, limit: int) -> list[list[tuple[Place, Entry]]]:
        first = "-" if oldest_first else "+"
        start = f"{after[0]}-{after[1]}" if after else first
        starts = dict.fromkeys(partitions, start)
        slices = desk.log.slices(starts, limit=limit, oldest_first=oldest_first)
        return [[(_place(entry), entry) for entry in entries] for entries in slices]

    a_slice = 8 if within is None else 100
    found = walk(fetch, after=question.after, a_slice=a_slice, reverse=not oldest_first)
    return (entry for _, entry in found if question.wants(entry))


def _place(entry: Entry) -> Place:
    return *place(entry.stream_id), partition_of(entry.instance)


def _notes(entry: Entry) -> str | None:
    return entry.outcome.partition(" ")[2].strip("()") or None


def _fingerprint(event: Event) -> str | None:
    return event.policy.fingerprint if event.policy else event.fingerprint
