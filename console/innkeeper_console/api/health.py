"""`/health`: whether the console can ask the store. Open to all, and says nothing else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.store import schema
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper_console.api.answers import desk_of, document


def health(request: Request) -> Response:
    """200 while the store answers, else 503."""
    try:
        schema.epoch_of(desk_of(request).store)
    except (StoreUnavailable, StoreError):
        return document({"status": "not ready", "store": "unavailable"}, status=503)
    return document({"status": "ok", "store": "ok"})


ROUTES = [Route("/health", health)]
