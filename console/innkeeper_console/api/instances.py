"""`/app_instances`, and the same in the vocabulary of before 2021, `/integration_instances`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.changing import NotYetApplied, change_instance
from innkeeper.operations.documents import (
    DEFAULT_FIELDS,
    instance_document,
    transition_document,
)
from innkeeper.operations.instances import (
    PREDEFINED,
    find_instance,
    list_instances,
    read_question,
)
from innkeeper.operations.questions import (
    MAX_PER_PAGE,
    Asked,
    BadQuestion,
    read_cursor,
    refuse,
    take_apart,
    write_cursor,
)
from innkeeper.store.register import Line
from innkeeper_console.api.answers import desk_of, document, not_found, page
from innkeeper_console.api.bounds import object_of

_PRESENT, _FORMER = "app_offering", "integration"
ROOTS = ("/app_instances", "/integration_instances")
_PLACE = tuple[Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]]


def listed(request: Request) -> Response:
    """A page of the register."""
    predefined = request.url.path.rpartition("/")[2]
    former = _is_former(request)
    asked = take_apart(_pairs(request, former))
    question = read_question(asked, predefined if predefined in PREDEFINED else None)
    found = list_instances(desk_of(request), question)
    documents = [_document(line, question.fields, former) for line in found.items]
    return page(request, documents, found.next)


class One(HTTPEndpoint):
    """One instance."""

    def get(self, request: Request) -> Response:
        """By default with all fields of the lists."""
        former = _is_former(request)
        asked = take_apart(_pairs(request, former))
        refuse(asked, "sort", "cursor")
        _refuse_filters(asked)
        question = read_question(asked)
        return document(_document(line_of(request), question.fields, former))

    async def patch(self, request: Request) -> Response:
        """Change it on its marketplace; 202 where the register has not taken it in yet."""
        former = _is_former(request)
        fields = await object_of(request)
        return await run_in_threadpool(_change, request, fields, former)


def _change(request: Request, fields: dict[str, Any], former: bool) -> Response:
    line, status = line_of(request), 200
    try:
        line = change_instance(desk_of(request), line, fields)
    except NotYetApplied as error:
        line, status = error.line, 202
    return document(_document(line, DEFAULT_FIELDS, former), status)


def transitions(request: Request) -> Response:
    """A page of an instance's transitions, oldest first; as many as there may be, if not told."""
    asked = take_apart(request.query_params.multi_items())
    refuse(asked, "fields", "sort")
    _refuse_filters(asked)
    count = asked.per_page if "per_page" in request.query_params else MAX_PER_PAGE
    (first,) = read_cursor(asked.cursor, _PLACE) if asked.cursor is not None else (0,)
    key = line_of(request).instance.key
    found = desk_of(request).register.transitions(key, first=first, count=count + 1)
    documents = [
        transition_document(one) | {"number": one.number, "order": one.order}
        for one in found[:count]
    ]
    return page(request, documents, write_cursor(first + count) if len(found) > count else None)


def _refuse_filters(asked: Asked) -> None:
    if asked.filters:
        raise BadQuestion(f"one instance takes no {asked.filters[0][0][:80]}")


def _is_former(request: Request) -> bool:
    return bool(request.url.path.startswith(ROOTS[1]))


def _pairs(request: Request, former: bool) -> list[tuple[str, str]]:
    """The query; in the former vocabulary, in today's words."""
    pairs = request.query_params.multi_items()
    if not former:
        return pairs
    return [
        (name, ",".join(map(_today, value.split(","))))
        if name == "fields"
        else (_today(name), value)
        for name, value in pairs
    ]


def _today(name: str) -> str:
    if name == _PRESENT:
        raise BadQuestion(f"{_PRESENT} is called {_FORMER} here")
    return _PRESENT if name == _FORMER else name


def _document(line: Line, fields: tuple[str, ...], former: bool) -> dict[str, Any]:
    found = instance_document(line, fields)
    if not former:
        return found
    return {_FORMER if name == _PRESENT else name: value for name, value in found.items()}


def line_of(request: Request) -> Line:
    """The instance that the path names. Raises HTTPException."""
    params = request.path_params
    key = InstanceKey(params["platform"], params["name"], params["account"])
    line = find_instance(desk_of(request), key)
    if line is None:
        raise not_found(f"there is no instance {key}")
    return line


def _routes(root: str) -> list[Route]:
    # A name percent-encoded into one segment arrives here decoded, as three.
    single = root + "/{platform}/{name}/{account}"
    return [
        Route(root, listed),
        Route(root + "/enabled", listed),
        Route(root + "/disabled", listed),
        Route(single, One),
        Route(single + "/transitions", transitions),
    ]


ROUTES = [route for root in ROOTS for route in _routes(root)]
