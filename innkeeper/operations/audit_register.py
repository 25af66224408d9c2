"""Audits a partition's register: records against indexes, transitions against records.

Used by `audit`, which makes sure of what is found here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.transitions import Transition
from innkeeper.operations.desk import Desk
from innkeeper.operations.findings import Finding, lasting
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import KEEP_SECONDS
from innkeeper.store.register import PolicyFile, names_in
from innkeeper.store.stored_lines import (
    History,
    IndexedLine,
    histories,
    index_pieces,
    index_sizes,
    indexed,
)

_Found = list[tuple[str, Finding]]


def audit_register(desk: Desk, partition: int) -> Iterator[Finding]:
    """What does not fit in a partition's register. Raises StoreError, StoreUnavailable."""
    register = _Register(desk, partition)
    names = names_in(desk.store, partition)
    yield from (found for _, found in lasting(register.look, names))
    members = register.index_members()
    yield from (found for _, found in lasting(register.look_for_lines, members))


class _Register:
    def __init__(self, desk: Desk, partition: int) -> None:
        self._desk = desk
        self._partition = partition
        self._keys = keys_of(partition)

    def look(self, names: list[str]) -> _Found:
        """Records, indexes, transitions and their follow-ups, of some instances."""
        found: _Found = []
        lines: dict[str, Instance] = {}
        for one in indexed(self._desk.store, self._partition, names):
            line, says = _read(one)
            found += [(one.name, _of(one.name, text)) for text in says]
            if line:
                lines[one.name] = line
        for history in histories(self._desk.store, self._partition, names):
            line = lines.get(history.name)
            says = list(_steps_against(history, line)) if line else []
            found += [(history.name, _of(history.name, text)) for text in says]
            found += self._works_of(history)
        return found

    def look_for_lines(self, names: list[str]) -> _Found:
        """What stands in an index, or is kept of an instance, has to have a line."""
        calls = [("HEXISTS", self._keys.base, name) for name in names]
        based = self._desk.store.batch(calls) if calls else []
        lines = indexed(self._desk.store, self._partition, names)
        return [
            (one.name, _of(one.name, "stands in an index, or has a base record, and is no line"))
            for one, base in zip(lines, based, strict=True)
            if not one.created and (base or _is_indexed(one))
        ]

    def index_members(self) -> Iterator[list[str]]:
        """What the other indexes hold, where that is more than by:id does; and the bases."""
        keys = self._keys
        indexes = [[keys.by_created], [keys.by_updated], [keys.by_status + s for s in Status]]
        lines, *counts = index_sizes(self._desk.store, [[keys.by_id], *indexes])
        fuller = [index for index, count in zip(indexes, counts, strict=True) if count > lines]
        for name in (keys.with_policy, *(name for index in fuller for name in index)):
            yield from index_pieces(self._desk.store, name)
        yield [name for name, _ in self._desk.bases.all(self._partition)]

    def _works_of(self, history: History) -> _Found:
        """Follow-ups that a transition or notice names and of which nothing is left."""
        oldest = time.time() - KEEP_SECONDS
        due = {
            id_: (step, name)
            for step in (*history.transitions, *history.notices)
            if step and step.at.timestamp() > oldest
            for name, id_ in step.follow_ups.items()
        }
        calls = [("EXISTS", self._keys.work + id_) for id_ in due]
        there = self._desk.store.batch(calls) if calls else []
        return [
            (history.name, _of(history.name, f"{step.id} has set off {name}, which is no work"))
            for (step, name), exists in zip(due.values(), there, strict=True)
            if not exists
        ]


def _of(name: str, says: str) -> Finding:
    return Finding(what="instance", id=name, says=says)


def _read(one: IndexedLine) -> tuple[Instance | None, list[str]]:
    """A line, if it can be read, and what does not fit of it."""
    if not one.record:
        # Forgotten since its name was read, if nothing else of it is left.
        return None, ["has no record"] if one.created or one.by_id else []
    try:
        line = msgspec.json.decode(one.record, type=Instance)
    except msgspec.DecodeError as error:
        return None, [f"its record cannot be read: {error}"]
    if str(line.key) != one.name:
        return None, [f"its record is of {line.key}"]
    return line, list(_against_indexes(one, line))


def _against_indexes(one: IndexedLine, line: Instance) -> Iterator[str]:
    if one.entry.decode() != line.entry:
        yield f"its last entry is {line.entry}, and {one.entry.decode() or 'none'} beside it"
    if not one.by_id:
        yield "is missing in by:id"
    for name, there, due in (
        ("created", one.by_created, one.created),
        ("updated", one.by_updated, one.updated),
    ):
        if not due or not there or int(float(there)) != int(due):
            yield f"stands in by:{name} under {_shown(there)}, its line says {_shown(due)}"
    if one.statuses != [line.status]:
        yield f"is {line.status} and stands under {' '.join(one.statuses) or 'no status'}"
    slot = line.policy
    due_policies = slot if slot and line.in_force(slot.current) else None
    if bool(one.by_policy) != bool(due_policies) or _policies(one.policies) != due_policies:
        yield "what receivers see of its signing policies is not what its record says"
    if one.transitions != line.transitions:
        yield f"has {one.transitions} transitions, its record counts {line.transitions}"


def _is_indexed(one: IndexedLine) -> bool:
    return bool(one.by_created or one.by_updated or one.by_policy or one.statuses)


def _shown(value: bytes) -> str:
    return str(int(float(value))) if value else "nothing"


def _policies(file: bytes) -> object:
    if not file:
        return None
    try:
        return msgspec.json.decode(file, type=PolicyFile).slot
    except msgspec.DecodeError:
        return "unreadable"


def _steps_against(history: History, line: Instance) -> Iterator[str]:
    """Each number once, each step from where the one before ended, the last one to where it is."""
    steps = [step for step in history.transitions[: line.transitions] if step]
    if len(steps) < min(len(history.transitions), line.transitions):
        yield "a transition cannot be read"
        return
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        yield f"its transitions are numbered {_some(str(step.number) for step in steps)}"
    if len({step.id for step in steps}) < len(steps):
        yield "two of its transitions have one id"
    for one, other in pairwise(steps):
        if not _follows(one, other):
            yield f"{other.id} begins with {other.from_status}, {one.id} ends with {one.to_status}"
    if len(steps) == line.transitions and steps and steps[-1].to_status is not line.status:
        yield f"its last transition ends with {steps[-1].to_status}, its record is {line.status}"


def _follows(one: Transition, other: Transition) -> bool:
    # What one delivery does at once, `installed` and `enabled`, leads from one status to one other.
    together = one.delivery == other.delivery
    same = (one.from_status, one.to_status) == (other.from_status, other.to_status)
    return one.to_status is other.from_status or (together and same)


def _some(parts: Iterator[str]) -> str:
    return " ".join(parts)[:200]
