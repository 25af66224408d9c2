"""The console's ASGI app: its routes, its one door, and what its errors look like.

Endpoints are plain functions, which Starlette runs in threads.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from innkeeper.operations.changing import OutcomeUnknown
from innkeeper.operations.desk import Desk
from innkeeper.operations.questions import BadQuestion
from innkeeper.operations.replay import CannotReplay
from innkeeper.platforms.api_errors import ApiError
from innkeeper.secrets import Damaged, MissingKey
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper_console.api import (
    app_offerings,
    customers,
    dead_letters,
    deliveries,
    health,
    instances,
    metrics,
    rejected,
)
from innkeeper_console.api.access import Access
from innkeeper_console.api.answers import on_error
from innkeeper_console.api.bounds import Bounds


def create_app(desk: Desk) -> Starlette:
    """The app over an open desk, which stays its caller's to close."""
    resources = (
        instances, customers, app_offerings, deliveries, rejected, dead_letters, metrics, health,
    )  # fmt: skip
    errors = (
        HTTPException, BadQuestion, CannotReplay, OutcomeUnknown, ApiError, StoreUnavailable,
        StoreError, MissingKey, Damaged, Exception,
    )  # fmt: skip
    app = Starlette(
        routes=[route for resource in resources for route in resource.ROUTES],
        middleware=[Middleware(Access, config=desk.config), Middleware(Bounds)],
        exception_handlers=dict.fromkeys(errors, on_error),
    )
    # A slash too many is another path; a redirect would go to whatever host the asker names.
    app.router.redirect_slashes = False
    app.state.desk = desk
    return app
