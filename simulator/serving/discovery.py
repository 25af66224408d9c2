"""What an issuer serves: its OpenID document, its keys, and the callback of the handshake."""

from __future__ import annotations

import time
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from simulator.run import Run
from simulator.serving.problems import Problem
from simulator.signing import jwk

_WELL_KNOWN = "/.well-known/openid-configuration"


def discovery_routes(run: Run) -> list[Route]:
    """For the site that has the issuers' host: over TLS."""
    return [
        Route(f"/webhook_policies/{{name}}{_WELL_KNOWN}", partial(_document, run)),
        Route("/webhook_policies/{name}/jwks", partial(_keys, run)),
        Route("/webhooks/{id:int}/verify", partial(_verify, run), methods=["GET", "POST"]),
    ]


async def _document(run: Run, request: Request) -> Response:
    name = _known(run, request)
    issuer = f"{run.settings.tls_base}/webhook_policies/{name}"
    document = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
    return JSONResponse(document, headers={"Cache-Control": "max-age=3600"})


async def _keys(run: Run, request: Request) -> Response:
    keys = [jwk(run.world.policies[_known(run, request)])]
    return JSONResponse({"keys": keys}, headers={"Cache-Control": "max-age=3600"})


def _known(run: Run, request: Request) -> str:
    name = str(request.path_params["name"])
    policy = run.world.policies.get(name)
    if policy is None or policy.kid is None:
        raise Problem(404, {"message": "Not found"})
    return name


async def _verify(run: Run, request: Request) -> Response:
    webhook = run.hooks.webhooks.get(request.path_params["id"])
    if webhook is None or not webhook.verify(request.query_params.get("code", ""), time.time()):
        return PlainTextResponse("Not verified", 403)
    return PlainTextResponse("Verified")
