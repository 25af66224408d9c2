"""The register as a list: filtered, sorted, a page at a time; and one line of it.

Asked by the console's API and the command line. Reads the indexes, in bounded steps, and judges
every line by what it says itself, for an index may have moved on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import DEFAULT_FIELDS, INSTANCE_FIELDS
from innkeeper.operations.filters import Filter, Operator, micros_of, read_filter
from innkeeper.operations.merging import Place, walk
from innkeeper.operations.questions import (
    Asked,
    BadQuestion,
    Page,
    checked,
    read_cursor,
    write_cursor,
)
from innkeeper.store.register import Line, Register

PREDEFINED = {
    "enabled": (Status.ENABLED,),
    "disabled": (Status.DISABLED, Status.SUSPENDED, Status.DISABLING),
}
"""The lists that have a name of their own, by status."""
_INDEXES = {"id": "by_id", "created_at": "by_created", "updated_at": "by_updated"}
_LINES_AT_ONCE = 100


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the register. `after`: a time in microseconds (or 0) and an id."""

    fields: tuple[str, ...] = DEFAULT_FIELDS
    filters: tuple[Filter, ...] = ()
    sort: str = "id"
    reverse: bool = False
    per_page: int = 20
    after: tuple[int, bytes] | None = None


def read_question(asked: Asked, predefined: str | None = None) -> Question:
    """Check a question. Raises BadQuestion."""
    stated = asked.sort if asked.sort is not None else "id"
    sort = checked("sort", stated.removeprefix("-"), _INDEXES)
    filters = [read_filter(name, value) for name, value in asked.filters]
    if predefined:
        values = PREDEFINED[predefined]
        filters.append(Filter(field="status", operator=Operator.IS, values=values))
    after = None
    if asked.cursor is not None:
        of, micros, name = read_cursor(asked.cursor, tuple[str, int, str])
        if of != stated:
            raise BadQuestion("cursor is of a list that was sorted differently")
        after = (micros, name.encode("utf-8", "replace"))
    return Question(
        fields=_fields(asked.fields),
        filters=tuple(filters),
        sort=sort,
        reverse=stated.startswith("-"),
        per_page=asked.per_page,
        after=after,
    )


def list_instances(desk: Desk, question: Question) -> Page[Line]:
    """A page of the register. Raises StoreError, StoreUnavailable."""
    wanted = _wanted(desk.register, question)
    found = list(islice(wanted, question.per_page + 1))
    page = found[: question.per_page]
    following = None
    if len(found) > len(page):
        micros, name = page[-1][0]
        sort = f"-{question.sort}" if question.reverse else question.sort
        following = write_cursor(sort, micros, name.decode())
    return Page(items=[line for _, line in page], next=following)


def walk_instances(desk: Desk, question: Question, limit: int) -> tuple[list[Line], bool]:
    """The first `limit` lines that a question gives, and whether there are more."""
    found = list(islice(_wanted(desk.register, question), limit + 1))
    return [line for _, line in found[:limit]], len(found) > limit


def find_instance(desk: Desk, key: InstanceKey) -> Line | None:
    """One line of the register. Raises StoreError, StoreUnavailable."""
    return desk.register.line(key)


def read_key(text: str) -> InstanceKey:
    """An instance's name. Raises BadQuestion."""
    try:
        return InstanceKey.parse(text)
    except ValueError:
        raise BadQuestion(f"{text[:80]!r} is not of the form platform/app/account") from None


def _wanted(register: Register, question: Question) -> Iterator[tuple[Place, Line]]:
    # An update that comes while the partitions are read one after the other could be seen in one
    # and its forerunner not in another: whoever goes on from the newest time listed would never
    # see it. So a list by time ends where the store's clock stood at its beginning.
    timed = question.sort != "id"
    ends = register.clock() if timed and not question.reverse else None
    places = _places(register, question)
    while group := list(islice(places, _LINES_AT_ONCE)):
        lines = register.lines([InstanceKey.parse(name.decode()) for (_, name), _ in group])
        for (place, _), line in zip(group, lines, strict=True):
            if ends is not None and place[0] >= ends:
                return
            if line is None or not all(one.holds(line) for one in question.filters):
                continue
            if ends is not None and place[0] != micros_of(getattr(line, question.sort)):
                continue  # it moved on: it comes again, where it stands now
            yield place, line


def _places(register: Register, question: Question) -> Iterator[tuple[Place, None]]:
    timed = question.sort != "id"
    low, high = _bounds(question.filters, question.sort)

    def fetch(after: Place | None, limit: int) -> list[list[tuple[Place, None]]]:
        start, end = low, high
        if after is not None and question.reverse:
            end = str(after[0]) if timed else f"({after[1].decode()}"
        elif after is not None:
            start = str(after[0]) if timed else f"({after[1].decode()}"
        slices = []
        for index in _indexes(question):
            slices += register.slice(
                index, start=start, end=end, limit=limit, reverse=question.reverse, by_score=timed
            )
        return [[((int(score), name), None) for name, score in found] for found in slices]

    a_slice = max(4, question.per_page // 8)
    return walk(fetch, after=question.after, a_slice=a_slice, reverse=question.reverse)


def _indexes(question: Question) -> list[str]:
    """The indexes that hold all that is wanted: those of the statuses asked for, or the whole."""
    statuses = {*Status}
    for one in question.filters:
        if one.field == "status":
            said = set(one.values)
            statuses &= said if one.operator is Operator.IS else {*Status} - said
    if question.sort != "id" or statuses == {*Status}:
        return [_INDEXES[question.sort]]
    return [f"by_status:{status}" for status in sorted(statuses)]


def _bounds(filters: tuple[Filter, ...], sort: str) -> tuple[str, str]:
    """The part of the index that the filters on the field of the sort leave."""
    timed = sort != "id"
    lows: list[Any] = []
    highs: list[Any] = []
    for one in (one for one in filters if one.field == sort):
        if one.operator in (Operator.IS, Operator.AT_LEAST, Operator.MORE):
            lows.append(min(one.values))
        if one.operator in (Operator.IS, Operator.AT_MOST, Operator.LESS):
            highs.append(max(one.values))
    form = "{}" if timed else "[{}"
    low = form.format(max(lows)) if lows else "-inf" if timed else "-"
    high = form.format(min(highs)) if highs else "+inf" if timed else "+"
    return low, high


def _fields(stated: str | None) -> tuple[str, ...]:
    if stated is None:
        return DEFAULT_FIELDS
    return tuple(checked("fields", name, INSTANCE_FIELDS) for name in stated.split(","))
