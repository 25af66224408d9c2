"""`/dead_letters`: what failed for good, and one of them taken up again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.dead_letters import (
    find_dead_letter,
    letter_document,
    list_dead_letters,
    requeue,
)
from innkeeper.operations.questions import take_apart
from innkeeper_console.api.answers import desk_of, document, not_found, page


def listed(request: Request) -> Response:
    """A page, the newest first."""
    found = list_dead_letters(desk_of(request), take_apart(request.query_params.multi_items()))
    documents = [letter_document(letter, detail=True) for letter in found.items]
    return page(request, documents, found.next)


def requeued(request: Request) -> Response:
    """Take one up again."""
    letter = find_dead_letter(desk_of(request), request.path_params["id"])
    if letter is None:
        raise not_found(f"there is no dead letter {request.path_params['id'][:80]}")
    delivery = requeue(desk_of(request), letter)
    answer = {"dead_letter": letter.id, "status": "requeued", "delivery": delivery}
    return document(answer, status=202)


ROUTES = [
    Route("/dead_letters", listed),
    Route("/dead_letters/{id}/requeue", requeued, methods=["POST"]),
]
