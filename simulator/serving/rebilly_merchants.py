"""Rebilly's merchant side, called with a merchant's token: the own instance, its configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.run import Run
from simulator.serving.problems import Problem, body_of
from simulator.serving.rebilly_access import merchant
from simulator.world.offerings import Offering, of_platform
from simulator.world.rebilly import Instance

Place = tuple[str, Callable[[Request], Awaitable[Response]], list[str]]


def merchant_routes(run: Run) -> list[Place]:
    """Paths, handlers and methods."""
    return [
        ("/application-instances/{id}", partial(_own, run), ["GET", "PUT", "DELETE"]),
        ("/application-instances/{id}/configuration", partial(_configuration, run), ["GET", "PUT"]),
    ]


async def _own(run: Run, request: Request) -> Response:
    """GET; PUT installs or enables, DELETE disables."""
    account, offering = merchant(run, request), _offering(request)
    if request.method != "GET":
        enabled = request.method == "PUT"
        if not enabled:
            _instance(run, offering, account)
        run.tell_soon(run.world.rebilly.switch(offering, account, enabled=enabled))
        if not enabled:
            return Response(status_code=204)
    return JSONResponse(run.world.rebilly.document(_instance(run, offering, account)))


async def _configuration(run: Run, request: Request) -> Response:
    """GET or PUT the settings."""
    account = merchant(run, request)
    found = _instance(run, _offering(request), account)
    if request.method == "PUT":
        found.settings = await body_of(request)
        found.updated_at = run.world.clock.tick()
    return JSONResponse(found.settings)


def _offering(request: Request) -> Offering:
    for offering in of_platform("rebilly"):
        if offering.reference == request.path_params["id"]:
            return offering
    raise Problem(404, {"title": "Not found", "status": 404})


def _instance(run: Run, offering: Offering, account: str) -> Instance:
    found = run.world.rebilly.instances.get((offering.name, account))
    if found is None:
        raise Problem(404, {"title": "Not found", "status": 404})
    return found
