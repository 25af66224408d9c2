"""`…/token` and `…/secrets` of an instance: acting as the customer, for programs of the vendor's.

What it answers is for nobody's cache or log. Who bears the secrets token, `access` has found out.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.acting import customer_token, read_secrets
from innkeeper.operations.documents import rfc3339
from innkeeper_console.api.access import ONLY_READERS, reads_secrets
from innkeeper_console.api.answers import desk_of, document, not_found
from innkeeper_console.api.instances import ROOTS, line_of
from innkeeper_receiver.callers import caller_of, networks

_NOT_KEPT = {"cache-control": "no-store"}


def token(request: Request) -> Response:
    """A short-lived access token for the customer's account."""
    found = customer_token(desk_of(request), line_of(request).instance.key)
    answer = {
        "access_token": found.token,
        "token_type": "Bearer",
        "expires_at": rfc3339(found.expires_at),
    }
    return document(answer, headers=_NOT_KEPT)


def secrets(request: Request) -> Response:
    """The secrets in force, by name; that they were read is recorded."""
    desk = desk_of(request)
    if desk.config.secrets_token is None:
        raise not_found("no INNKEEPER_SECRETS_TOKEN is set: secrets cannot be read")
    # Not left to the door, which goes by the path: one with a line feed at its end leads here, too.
    if not reads_secrets(request):
        raise HTTPException(403, ONLY_READERS)
    line = line_of(request)
    caller = caller_of(request, networks(desk.config.receiver.trusted_proxies))
    found = read_secrets(desk, line, str(caller) if caller else None)
    return document({"id": str(line.instance.key), "secrets": found}, headers=_NOT_KEPT)


ROUTES = [
    route
    for root in ROOTS
    for route in (
        Route(f"{root}/{{platform}}/{{name}}/{{account}}/token", token, methods=["POST"]),
        Route(f"{root}/{{platform}}/{{name}}/{{account}}/secrets", secrets),
    )
]
