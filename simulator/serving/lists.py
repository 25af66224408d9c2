"""Xurrent's way of listing: fields, filters with the operator in the value, sort, cursors."""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.serving.problems import Problem
from simulator.troubles import Troubles

_OPERATORS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    (">=", operator.ge),
    ("<=", operator.le),
    (">", operator.gt),
    ("<", operator.lt),
)
_OWN = frozenset({"fields", "sort", "per_page", "cursor"})


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of a collection. `sort`: None leaves it unsorted."""

    defaults: tuple[str, ...]
    filters: frozenset[str]
    sorts: frozenset[str]
    sort: str | None = None


def answer(
    request: Request, rows: list[dict[str, Any]], listing: Listing, troubles: Troubles
) -> Response:
    """One page of `rows`, which hold all fields, each with an integer `id`. Raises Problem."""
    query = request.query_params
    kept = [row for row in rows if _passes(row, query.multi_items(), listing)]
    stated = query.get("sort", listing.sort)
    sort, falls = (stated.removeprefix("-"), stated[:1] == "-") if stated else (None, False)
    if sort is not None and sort not in listing.sorts:
        raise Problem(400, {"message": f"Sorting by {sort} is not available"})
    kept.sort(key=lambda row: _place(row, sort), reverse=falls)
    per_page = _per_page(query.get("per_page", "20"))
    rest = kept
    if "cursor" in query:
        after = _cursor(query["cursor"])
        passed = operator.lt if falls else operator.gt
        rest = [row for row in kept if passed(_place(row, sort), after)]
    page, more = rest[:per_page], len(rest) > per_page
    headers = {"x-ratelimit-limit": "3600", "x-ratelimit-remaining": "3599"}
    fields = _fields(query.get("fields"), listing, rows)
    shown, total = troubles.bend("xurrent", [_only(row, fields) for row in page], len(kept))
    headers |= {"x-pagination-per-page": str(per_page), "x-pagination-total-entries": str(total)}
    if more:
        headers["Link"] = _links(request, _place(page[-1], sort))
    return JSONResponse(shown, headers=headers)


def _passes(row: Mapping[str, Any], query: list[tuple[str, str]], listing: Listing) -> bool:
    for name, said in query:
        if name in _OWN:
            continue
        if name not in listing.filters:
            raise Problem(400, {"message": f"Filtering by {name} is not available"})
        if not _matches(row[name], said):
            return False
    return True


def _matches(value: Any, said: str) -> bool:
    for sign, holds in _OPERATORS:
        if said.startswith(sign):
            return holds(_comparable(value), _read(said[len(sign) :], value))
    negated = said.startswith("!")
    among = {_read(one, value) for one in said.removeprefix("!").split(",")}
    return (_comparable(value) in among) is not negated


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def _read(said: str, like: Any) -> Any:
    """The value of a filter, read as what it is compared with."""
    try:
        if isinstance(like, bool):
            return {"true": True, "false": False}[said]
        if isinstance(like, int):
            return int(said)
        if isinstance(_comparable(like), datetime):
            moment = datetime.fromisoformat(said)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (KeyError, ValueError):
        raise Problem(400, {"message": f"{said} is not a valid value"}) from None
    return said


def _place(row: Mapping[str, Any], sort: str | None) -> list[Any]:
    """Where a row stands. Unsorted is no order that anybody could rely on, and yet stable."""
    key = str(row[sort]) if sort not in (None, "id") else ""
    if sort is None:
        key = f"{row['id'] * 2654435761 % 2**32:010}"
    return [key, row["id"]]


def _per_page(said: str) -> int:
    if not said.isdecimal() or int(said) < 1:
        raise Problem(400, {"message": "per_page is no number"})
    return min(int(said), 100)


def _cursor(said: str) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(said))
    except ValueError:
        raise Problem(400, {"message": "The cursor is not valid"}) from None
    return list(found)


def _links(request: Request, place: list[Any]) -> str:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    base = request.url.replace(query="")
    first, following = urlencode(kept), urlencode([*kept, ("cursor", cursor)])
    return f'<{base}?{first}>; rel="first", <{base}?{following}>; rel="next"'


def _fields(said: str | None, listing: Listing, rows: Collection[dict[str, Any]]) -> list[str]:
    names = said.split(",") if said else list(listing.defaults)
    known = {name for row in rows for name in row}
    for name in names:
        if rows and name not in known:
            raise Problem(400, {"message": f"The field {name} does not exist"})
    return names


def _only(row: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in fields or name == "id"}
