"""`/deliveries`: what came in, and one of them replayed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.deliveries import (
    delivery_document,
    entry_document,
    find_delivery,
    list_deliveries,
    read_question,
)
from innkeeper.operations.questions import checked, take_apart
from innkeeper.operations.replay import replay_delivery
from innkeeper.store.entry import Entry
from innkeeper_console.api.answers import desk_of, document, not_found, page


def listed(request: Request) -> Response:
    """A page, the newest first."""
    question = read_question(take_apart(request.query_params.multi_items()))
    found = list_deliveries(desk_of(request), question)
    return page(request, [entry_document(entry) for entry in found.items], found.next)


def one(request: Request) -> Response:
    """One, with what it said."""
    return document(delivery_document(desk_of(request), _entry(request)))


def replay(request: Request) -> Response:
    """Take it in anew; `?follow_ups=true` sets off again what it set off."""
    stated = request.query_params.get("follow_ups", "false")
    follow_ups = checked("follow_ups", stated, ("true", "false")) == "true"
    entry = _entry(request)
    appended = replay_delivery(desk_of(request), entry, follow_ups=follow_ups)
    status = "duplicate" if appended.duplicate else "accepted"
    answer = {"delivery": appended.delivery, "status": status, "replays": entry.delivery}
    return document(answer, status=200 if appended.duplicate else 202)


def _entry(request: Request) -> Entry:
    delivery = request.path_params["id"]
    entry = find_delivery(desk_of(request), delivery)
    if entry is None:
        raise not_found(f"delivery {delivery[:80]} is not kept (any more)")
    return entry


ROUTES = [
    Route("/deliveries", listed),
    Route("/deliveries/{id}", one),
    Route("/deliveries/{id}/replay", replay, methods=["POST"]),
]
