"""Xurrent's REST API, `/v1`, and its OAuth endpoint."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.run import Run
from simulator.serving import xurrent_instances
from simulator.serving.problems import Problem, show
from simulator.serving.xurrent_access import issue, signed_in
from simulator.serving.xurrent_offerings import Offerings
from simulator.serving.xurrent_webhooks import Administration


def xurrent_app(run: Run) -> Starlette:
    """To be mounted; `base_url` ends in `/v1`."""
    offerings, administration = Offerings(run), Administration(run)
    many, one = partial(xurrent_instances.many, run), partial(xurrent_instances.one, run)
    routes = [Route("/token", partial(issue, run), methods=["POST"])]
    for name in ("app_instances", "integration_instances"):
        routes += [
            Route(f"/v1/{name}", many),
            Route(f"/v1/{name}/{{id:int}}", one, methods=["GET", "PATCH"]),
            Route(f"/v1/{name}/{{predefined}}", partial(_by_filter, run)),
        ]
    routes += [
        Route("/v1/app_offerings", offerings.many, methods=["GET", "POST"]),
        Route("/v1/app_offerings/{id:int}", offerings.one, methods=["GET", "PATCH"]),
        Route("/v1/webhooks", administration.webhooks, methods=["GET", "POST"]),
        Route("/v1/webhooks/{id:int}", administration.webhook, methods=["GET", "PATCH", "DELETE"]),
        Route("/v1/webhooks/{id:int}/test", administration.test, methods=["POST"]),
        Route("/v1/webhook_policies", administration.policies, methods=["GET", "POST"]),
        Route("/v1/webhook_policies/{id:int}", administration.policy, methods=["GET", "DELETE"]),
        Route("/v1/me", partial(_me, run)),
    ]
    return Starlette(routes=routes, exception_handlers={Problem: show})


async def _by_filter(run: Run, request: Request) -> Response:
    if request.path_params["predefined"] not in ("enabled", "disabled"):
        raise Problem(404, {"message": "Not found"})
    return await xurrent_instances.many(run, request)


async def _me(run: Run, request: Request) -> Response:
    """Who the bearer of a token is: for the vendor's own calls in a customer's account."""
    account = signed_in(run, request)
    return JSONResponse({"id": 6, "name": "API user", "account": {"id": account}})
