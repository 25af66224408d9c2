"""`/rejected`: what was refused, and why."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.questions import take_apart
from innkeeper.operations.rejected import list_rejected, rejection_document
from innkeeper_console.api.answers import desk_of, page


def listed(request: Request) -> Response:
    """A page, the newest first."""
    found = list_rejected(desk_of(request), take_apart(request.query_params.multi_items()))
    return page(request, [rejection_document(one) for one in found.items], found.next)


ROUTES = [Route("/rejected", listed)]
