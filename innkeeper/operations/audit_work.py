"""Audits the outbox: work against lanes, lanes against what is due, dead letters against pins.

Used by `audit`, which makes sure of what is found here. One walk over all keys finds what belongs
to nothing any more, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from innkeeper.operations.desk import Desk
from innkeeper.operations.findings import Finding, lasting
from innkeeper.operations.refolding import DEAD
from innkeeper.store.dead_letters import DeadLetter, Subject
from innkeeper.store.outbox import Lane, Work
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.stored_work import (
    Place,
    StoredLane,
    StoredLetter,
    StoredWork,
    all_places,
    letters,
    pins,
    stored_lanes,
    stored_letters,
    stored_works,
    without_line,
)

_OPEN = ("waiting", "running", "later")
_SETTLED = ("done", "dropped")
_KEPT = {"s": "secrets", "p": "signing policies", "t": "transitions"}
_Found = list[tuple[Place, Finding]]


def audit_work(desk: Desk) -> Iterator[Finding]:
    """What does not fit among work, lanes and dead letters. Raises StoreError, StoreUnavailable."""
    looking = _Looking(desk)
    for places in (all_places(desk.store), _pins_and_letters(desk)):
        yield from (found for _, found in lasting(looking.look, places))


def _pins_and_letters(desk: Desk) -> Iterator[list[Place]]:
    for partition in PARTITIONS:
        for kind, pieces in (("pin", pins), ("letter", letters)):
            for ids in pieces(desk.store, partition):
                yield [Place(partition, kind, id_) for id_ in ids]


class _Looking:
    """One look at some places, by kind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def look(self, places: list[Place]) -> _Found:
        groups: dict[tuple[int, str], list[Place]] = defaultdict(list)
        for place in places:
            groups[place.partition, place.kind].append(place)
        return [one for group in groups.values() for one in self._look_at(group)]

    def _look_at(self, places: list[Place]) -> Iterator[tuple[Place, Finding]]:
        partition, kind = places[0].partition, places[0].kind
        names = [place.name for place in places]
        match kind:
            case "w":
                what, told = "work", self._works(partition, names)
            case "q" | "l":
                what, told = "lane", self._lanes(partition, names)
            case "pin":
                what, told = "pin", self._pins(partition, names)
            case "letter":
                what, told = "dead letter", self._letters(partition, names)
            case _:
                what, told = "instance", self._instances(partition, kind, names)
        by_name = dict(zip(names, places, strict=True))
        for name, says in told:
            yield by_name[name], Finding(what=what, id=name, says=says)

    def _instances(self, partition: int, kind: str, names: list[str]) -> Iterator[tuple[str, str]]:
        says = f"has {_KEPT[kind]} and no line" if kind in _KEPT else "is missing in by:id"
        yield from ((name, says) for name in without_line(self._desk.store, partition, kind, names))

    def _works(self, partition: int, ids: list[str]) -> Iterator[tuple[str, str]]:
        works = stored_works(self._desk.store, partition, ids)
        waiting = {one.id: lane for one in works if (lane := _lane_of(one)) is not None}
        names = sorted(set(waiting.values()))
        lanes = dict(zip(names, stored_lanes(self._desk.store, partition, names), strict=True))
        in_lane = {name: frozenset(lane.ids) for name, lane in lanes.items()}
        for one in works:
            there = in_lane.get(waiting.get(one.id, ""))
            yield from ((one.id, says) for says in _work(one, there))

    def _lanes(self, partition: int, names: list[str]) -> Iterator[tuple[str, str]]:
        lanes = stored_lanes(self._desk.store, partition, names)
        ids = sorted({id_ for lane in lanes for id_ in lane.ids})
        works = {one.id: one for one in stored_works(self._desk.store, partition, ids)}
        # Once more, after their work: what was settled meanwhile has left its lane.
        lanes = stored_lanes(self._desk.store, partition, names)
        for name, lane in zip(names, lanes, strict=True):
            yield from ((name, says) for says in _lane(lane, works))

    def _pins(self, partition: int, ids: list[str]) -> Iterator[tuple[str, str]]:
        works = stored_works(self._desk.store, partition, ids)
        found = stored_letters(self._desk.store, partition, ids)
        for work, letter in zip(works, found, strict=True):
            over = not work.state or work.state in _SETTLED
            if work.pinned and over and not letter.record:
                yield work.id, "keeps entries from being trimmed and stands for nothing unfinished"

    def _letters(self, partition: int, ids: list[str]) -> Iterator[tuple[str, str]]:
        found = stored_letters(self._desk.store, partition, ids)
        read = {one.id: _letter_in(one) for one in found}
        works = [letter.work for letter in read.values() if letter and letter.work]
        states = {one.id: one.state for one in stored_works(self._desk.store, partition, works)}
        for one in found:
            letter = read[one.id]
            # Gone since it was listed: dropped, or taken up again.
            if one.listed or one.record:
                yield from ((one.id, s) for s in self._letter(partition, one, letter, states))

    def _letter(
        self, partition: int, one: StoredLetter, letter: DeadLetter | None, states: dict[str, str]
    ) -> Iterator[str]:
        if letter is None:
            yield "has no record that can be read"
            return
        if not one.listed:
            yield "is in no list"
        if not one.pinned:
            yield "does not keep its entry from being trimmed"
        if letter.subject is Subject.WORK:
            state = states.get(letter.work or "") or "missing"
            if state != DEAD:
                yield f"its work is {state}"
            return
        entry = self._desk.log.at(partition, letter.entry)
        if entry is None or entry.outcome != DEAD:
            yield f"its entry is {entry.outcome or 'without outcome' if entry else 'missing'}"


def _lane_of(one: StoredWork) -> str | None:
    """The lane in which work has to stand; None for what is settled, or cannot be read."""
    if one.state not in (*_OPEN, DEAD):
        return None
    try:
        work = msgspec.json.decode(one.spec, type=Work)
    except msgspec.DecodeError:
        return None
    return Lane(work.instance, work.lane).name


def _work(one: StoredWork, in_lane: frozenset[str] | None) -> Iterator[str]:
    """`in_lane`: the work in its lane; None where that cannot be told."""
    if not one.state:
        # Gone since its key was seen, unless something is left that has no state.
        if one.spec or one.seconds > -2:
            yield "has no state"
        return
    if one.state in _SETTLED:
        if one.seconds < 0:
            yield f"is {one.state} and never goes"
        if one.pinned:
            yield f"is {one.state} and keeps its entry from being trimmed"
        return
    if in_lane is None:
        yield f"is {one.state}, and what it is cannot be read"
        return
    if not one.pinned:
        yield f"is {one.state} and does not keep its entry from being trimmed"
    if one.state == DEAD and not one.dead:
        yield "is dead and no dead letter"
    if one.state in _OPEN and one.id not in in_lane:
        yield f"is {one.state} and in no lane"


def _lane(lane: StoredLane, works: dict[str, StoredWork]) -> Iterator[str]:
    if not lane.ids:
        if lane.blocked_by:
            yield f"is blocked by {lane.blocked_by} and holds no work"
        return
    if not lane.due and not lane.blocked_by:
        yield "holds work and is neither due, leased nor blocked"
    if lane.blocked_by and lane.blocked_by != lane.ids[0]:
        yield f"is blocked by {lane.blocked_by}, which is not its first"
    if len(set(lane.ids)) < len(lane.ids):
        yield "holds the same work twice"
    for id_ in lane.ids:
        work = works.get(id_)  # None: it has come since
        if work and work.state not in _OPEN and (work.state, id_) != (DEAD, lane.blocked_by):
            yield f"holds {id_}, which is {work.state or 'missing'}"


def _letter_in(one: StoredLetter) -> DeadLetter | None:
    try:
        return msgspec.json.decode(one.record, type=DeadLetter)
    except msgspec.DecodeError:
        return None
