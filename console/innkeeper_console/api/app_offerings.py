"""`/app_offerings`: the provider's offerings, as the marketplace has them; `?app=` picks whose."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.offerings import list_offerings, offerings_of, provider_app
from innkeeper.operations.questions import BadQuestion, take_apart
from innkeeper_console.api.answers import desk_of, document, page
from innkeeper_console.api.bounds import object_of


class Many(HTTPEndpoint):
    """The offerings of a provider."""

    def get(self, request: Request) -> Response:
        """A page; filters and sorts are the marketplace's."""
        pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "app"]
        found = list_offerings(desk_of(request), _app(request), take_apart(pairs))
        return page(request, found.items, found.next)

    async def post(self, request: Request) -> Response:
        """Make one."""
        fields = await object_of(request)
        return document(await run_in_threadpool(_create, request, fields), 201)


class One(HTTPEndpoint):
    """One offering, with all its fields."""

    def get(self, request: Request) -> Response:
        """As it is."""
        return document(_offerings(request).one(request.path_params["id"]))

    async def patch(self, request: Request) -> Response:
        """Change it."""
        fields = await object_of(request)
        return document(await run_in_threadpool(_update, request, fields))


def _create(request: Request, fields: dict[str, Any]) -> Any:
    return _offerings(request).create(fields)


def _update(request: Request, fields: dict[str, Any]) -> Any:
    return _offerings(request).update(request.path_params["id"], fields)


def _offerings(request: Request) -> Any:
    others = [name for name in request.query_params if name != "app"]
    if others:
        raise BadQuestion(f"{others[0][:80]} is not asked for here")
    return offerings_of(desk_of(request), _app(request))


def _app(request: Request) -> Any:
    return provider_app(desk_of(request).config, request.query_params.get("app"))


ROUTES = [
    Route("/app_offerings", Many),
    Route("/app_offerings/{id}", One),
]
