"""Xurrent's lists, page by page: `Link` with rel=next, and checks that nothing was left out.

Used by all that lists something of Xurrent's. Knows no kind of thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from innkeeper.outgoing import Answer
from innkeeper.platforms.api_errors import Inconsistent, Missing
from innkeeper.platforms.calls import Caller, Reply
from innkeeper.platforms.counting import Counting
from innkeeper.platforms.fields import number_in
from innkeeper.platforms.xurrent.reading import object_id

PER_PAGE = 100
_TOTALS = ("x-pagination-total-entries", "x-pagination-total")
_LINK = re.compile(r'<([^>]*)>((?:[^,"]|"[^"]*")*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


def pages(
    caller: Caller, path: str, query: Mapping[str, str | int]
) -> Iterator[list[dict[str, Any]]]:
    """Each page of a list, an empty one too; Missing where there is no such list.

    Raises ApiError; Inconsistent where the pages given so far cannot be all of it.
    """
    # In order of id, what is new comes last, and shifts nothing that is still to be read.
    counting = Counting(may_grow=query.get("sort") == "id")
    reply = caller.call("GET", path, {"per_page": PER_PAGE, **query})
    full = None
    while True:
        elements, link = _elements(reply), next_link(reply.answer)
        full = len(elements) if full is None else full
        if link is not None and (not elements or len(elements) != full):
            raise Inconsistent("a page is short, and yet not the last")
        _count(counting, reply.answer, elements)
        yield elements
        if link is None:
            return counting.end()
        try:
            reply = caller.follow(link)
        except Missing as error:
            raise Inconsistent(f"the next page is not there: {error}") from None


def next_link(answer: Answer) -> str | None:
    """Where the next page is, as the answer says; None on the last page."""
    for name, value in answer.headers:
        if name != "link":
            continue
        for target, parameters in _LINK.findall(value):
            rel = _REL.search(parameters)
            if rel and "next" in (rel[1] or rel[2] or "").lower().split():
                return str(target)
    return None


def _elements(reply: Reply) -> list[dict[str, Any]]:
    elements = reply.document
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        raise Inconsistent("a page is no list of objects")
    return elements


def _count(counting: Counting, answer: Answer, elements: list[dict[str, Any]]) -> None:
    total = next(filter(None, map(answer.header, _TOTALS)), None)
    if total is not None:
        number = number_in(total)
        if number is None:
            raise Inconsistent("the number of entries is no number")
        counting.state(number)
    try:
        counting.add(object_id(each) for each in elements)
    except ValueError as error:
        raise Inconsistent(f"an element of the list: {error}") from None
