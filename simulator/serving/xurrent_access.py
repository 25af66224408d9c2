"""Who calls Xurrent's API: tokens, and the account in whose name they act."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.run import Run
from simulator.serving.problems import Problem, body_of
from simulator.settings import ACCOUNT, CLIENT_ID, CLIENT_SECRET
from simulator.world.tokens import HOUR

_ACCOUNT_HEADERS = ("x-xurrent-account", "x-4me-account")


async def issue(run: Run, request: Request) -> Response:
    """POST /token: client credentials, of the provider or of a customer's own application."""
    content_type = request.headers.get("content-type", "")
    form = dict(parse_qsl((await request.body()).decode("latin-1")))
    said = await body_of(request) if "json" in content_type else form
    if run.troubles.strike("xurrent", "refusing"):
        return JSONResponse({"error": "invalid_client"}, 401)
    if said.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, 400)
    account = _owner(run, str(said.get("client_id")), str(said.get("client_secret")))
    if account is None:
        return JSONResponse({"error": "invalid_client"}, 401)
    document = {
        "access_token": run.tokens.issue("xurrent", account),
        "token_type": "Bearer",
        "expires_in": int(HOUR),
        "scope": "",
    }
    return JSONResponse(document)


def signed_in(run: Run, request: Request) -> str:
    """The account of the bearer's token. Raises Problem."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    account = run.tokens.account("xurrent", token) if scheme.lower() == "bearer" else None
    if account is None or run.troubles.strike("xurrent", "refusing"):
        raise Problem(401, {"message": "Access credentials are invalid"})
    stated = {request.headers[name] for name in _ACCOUNT_HEADERS if name in request.headers}
    if stated != {account}:
        raise Problem(403, {"message": f"No access to account {', '.join(sorted(stated))}"})
    return account


def provider(run: Run, request: Request) -> None:
    """Only the provider may go on. Raises Problem."""
    if signed_in(run, request) != ACCOUNT:
        raise Problem(403, {"message": "Only the provider's administrators may do this"})


def _owner(run: Run, client_id: str, client_secret: str) -> str | None:
    if (client_id, client_secret) == (CLIENT_ID, CLIENT_SECRET):
        return ACCOUNT
    for instance in run.world.xurrent.instances.values():
        known = instance.secrets.get("application.client_id")
        if instance.present and known == client_id:
            fits = instance.secrets["application.client_secret"] == client_secret
            return instance.customer.account if fits else None
    return None
