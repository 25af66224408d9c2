"""Rebilly's REST API: the owner's side of applications and instances.

With or without `/organizations/{id}` in front. `connect`'s part is in `rebilly_webhooks`, the
merchants' in `rebilly_merchants`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from simulator.run import Run
from simulator.serving.problems import Problem, body_of, show
from simulator.serving.rebilly_access import invalid, owner
from simulator.serving.rebilly_merchants import merchant_routes
from simulator.serving.rebilly_webhooks import Connecting
from simulator.world.clock import rebilly_time
from simulator.world.offerings import of_platform
from simulator.world.rebilly import Instance

_REACH = 1000
_REQUIRED = ("name", "logoId", "authorName", "tagline", "description", "permissions")
_IDS = ("logoId", "authorLogoId")
Handler = Callable[[Request], Awaitable[Response]]


class Applications:
    """The owner's applications, with those registered in this run, and their instances."""

    def __init__(self, run: Run) -> None:
        self._run = run
        market = run.world.rebilly
        self._known = {one.reference: market.application(one) for one in of_platform("rebilly")}

    async def many(self, request: Request) -> Response:
        """GET all, or POST (register) a new one."""
        owner(self._run, request)
        if request.method == "GET":
            return page(self._run, request, list(self._known.values()))
        said = await body_of(request)
        faults = [(name, f"{name} is required") for name in _REQUIRED if not said.get(name)]
        faults += [(name, "Longer than 50") for name in _IDS if len(str(said.get(name, ""))) > 50]
        if not isinstance(said.get("permissions", []), list):
            faults.append(("permissions", "No list"))
        if faults:
            raise invalid(faults)
        if any(known["name"] == said["name"] for known in self._known.values()):
            raise Problem(409, {"title": "Conflict", "status": 409, "detail": "The name is taken"})
        number = f"app_01REGISTERED{len(self._known)}"
        now = rebilly_time(self._run.world.clock.tick())
        made = {"id": number, **said, "status": "pending-approval", "createdTime": now}
        self._known[number] = made | {"updatedTime": now, "_links": []}
        return JSONResponse(self._known[number], 201)

    async def one(self, request: Request) -> Response:
        """GET one."""
        owner(self._run, request)
        return JSONResponse(self._found(request))

    async def instances(self, request: Request) -> Response:
        """GET the instances of one, in an order of no meaning."""
        owner(self._run, request)
        reference = self._found(request)["id"]
        rows = [self._document(one) for one in self._shown() if one.offering.reference == reference]
        return page(self._run, request, rows)

    async def instance(self, request: Request) -> Response:
        """GET one merchant's instance, with a fresh token."""
        owner(self._run, request)
        reference = self._found(request)["id"]
        for found in self._shown():
            if (found.offering.reference, found.account) == (
                reference,
                request.path_params["merchant"],
            ):
                shown: Any = self._document(found)
                bent = self._run.troubles.strike("rebilly", "wrong_types")
                return JSONResponse([shown] if bent else shown)
        raise Problem(404, {"title": "Not found", "status": 404})

    def _found(self, request: Request) -> dict[str, Any]:
        found = self._known.get(request.path_params["id"])
        if found is None:
            raise Problem(404, {"title": "Not found", "status": 404})
        return found

    def _shown(self) -> list[Instance]:
        keeps = self._run.settings.keeps_disabled
        every = self._run.world.rebilly.instances.values()
        return [one for one in every if keeps or one.status != "disabled"]

    def _document(self, instance: Instance) -> dict[str, Any]:
        token = self._run.tokens.issue("rebilly", instance.account)
        return self._run.world.rebilly.document(instance) | {"token": token}


def page(run: Run, request: Request, rows: list[dict[str, Any]]) -> Response:
    """A bare array and where it lies, as `limit` and `offset` ask. Raises Problem."""
    limit, offset = (_number(request, name, most) for name, most in (("limit", 100), ("offset", 0)))
    kept = rows[offset : offset + limit]
    shown, total = run.troubles.bend("rebilly", kept, len(rows))
    headers = {
        "Pagination-Total": str(total),
        "Pagination-Limit": str(limit),
        "Pagination-Offset": str(offset),
    }
    return JSONResponse(shown, headers=headers)


def _number(request: Request, name: str, default: int) -> int:
    said = request.query_params.get(name, str(default))
    if not said.isdecimal() or int(said) > _REACH:
        raise invalid([(name, f"Not between 0 and {_REACH}")])
    return int(said)


def rebilly_app(run: Run) -> Starlette:
    """To be mounted."""
    applications, connecting = Applications(run), Connecting(run)
    both = ["GET", "POST"]
    places: list[tuple[str, Handler, list[str]]] = [
        ("/applications", applications.many, both),
        ("/applications/{id}", applications.one, ["GET"]),
        ("/applications/{id}/instances", applications.instances, ["GET"]),
        ("/applications/{id}/instances/{merchant}", applications.instance, ["GET"]),
        ("/service-credentials/webhook", connecting.credentials, both),
        ("/webhooks", partial(connecting.webhooks, page), both),
        ("/webhooks/{id}", connecting.webhook, ["GET", "PUT", "PATCH", "DELETE"]),
        *merchant_routes(run),
    ]
    routes: list[BaseRoute] = [
        Route(f"{prefix}{path}", handler, methods=methods)
        for prefix in ("/organizations/{organization}", "")
        for path, handler, methods in places
    ]
    return Starlette(routes=routes, exception_handlers={Problem: show})
