"""The yardstick: the receiver's framework and server, answering 202 and doing nothing else."""

from __future__ import annotations

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.config import Bind
from innkeeper.lifecycle.events import DeliveryId
from innkeeper.serving import run_app
from innkeeper_receiver import answers

_DELIVERY = DeliveryId("1-01a20e2b-306a-7525-9eff-8047d3008ade")


async def _answer(request: Request) -> Response:
    await request.body()
    return answers.accepted(_DELIVERY)


if __name__ == "__main__":
    app = Starlette(routes=[Route("/hooks/{platform}/{name}", _answer, methods=["POST"])])
    run_app(app, Bind(host="127.0.0.1", port=int(sys.argv[1])), drain_seconds=1)
