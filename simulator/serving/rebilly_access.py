"""Who calls Rebilly's API: the owner by its key, a merchant's app by a token of an hour."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from simulator.run import Run
from simulator.serving.problems import Problem
from simulator.settings import API_KEY, OWNER


def owner(run: Run, request: Request) -> None:
    """Only the owner may go on. Raises Problem."""
    key = request.headers.get("reb-apikey")
    if key != API_KEY or run.troubles.strike("rebilly", "refusing"):
        raise Problem(401, {"title": "Unauthorized", "status": 401})
    header = request.headers.get("organization-id", OWNER)
    organization = request.path_params.get("organization", header)
    if organization != OWNER:
        raise Problem(403, {"title": "Forbidden", "status": 403})


def merchant(run: Run, request: Request) -> str:
    """The merchant in whose name a token acts. Raises Problem."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    account = run.tokens.account("rebilly", token) if scheme.lower() == "bearer" else None
    if account is None or run.troubles.strike("rebilly", "refusing"):
        raise Problem(401, {"title": "Unauthorized", "status": 401})
    if request.path_params.get("organization", account) != account:
        raise Problem(403, {"title": "Forbidden", "status": 403})
    return account


def invalid(faults: Sequence[tuple[str, str]]) -> Problem:
    """422 with every fault, by field."""
    fields = [{"field": field, "message": message} for field, message in faults]
    return Problem(422, {"title": "Invalid data", "status": 422, "invalidFields": fields})
