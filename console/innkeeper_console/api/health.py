"""`/health`: whether the store can be asked, and how the apps' passes stand. Open to all.

So it names no customer, holds no secret, and repeats a marketplace's words to operators alone.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.pass_times import health_document
from innkeeper.store import schema
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper_console.api.access import of_operator
from innkeeper_console.api.answers import desk_of, document


def health(request: Request) -> Response:
    """200 while the store answers, else 503; what is wrong with an app is told, and no more."""
    desk = desk_of(request)
    try:
        schema.epoch_of(desk.store)
        apps = health_document(desk, with_errors=of_operator(request))
    except (StoreUnavailable, StoreError):
        return document({"status": "not ready", "store": "unavailable"}, status=503)
    return document({"status": "ok", "store": "ok", "apps": apps})


ROUTES = [Route("/health", health)]
