"""The sites of a run: one for APIs and control, one, over TLS, for the issuers' own pages."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount

from simulator.run import Run
from simulator.serving.control import control_routes
from simulator.serving.discovery import discovery_routes
from simulator.serving.problems import Problem, Troubled, show
from simulator.serving.rebilly import rebilly_app
from simulator.serving.xandr import xandr_app
from simulator.serving.xurrent import xurrent_app


def api_site(run: Run) -> Starlette:
    """`/xurrent/v1`, `/xurrent/token`, `/rebilly`, `/xandr`, `/control`."""
    troubles = run.troubles
    control = Starlette(routes=control_routes(run), exception_handlers={Problem: show})
    return Starlette(
        routes=[
            Mount("/xurrent", Troubled("xurrent", troubles, xurrent_app(run))),
            Mount("/rebilly", Troubled("rebilly", troubles, rebilly_app(run))),
            Mount("/xandr", Troubled("xandr", troubles, xandr_app(run))),
            Mount("/control", control),
        ]
    )


def issuers_site(run: Run) -> Starlette:
    """Discovery and callbacks."""
    return Starlette(routes=list(discovery_routes(run)), exception_handlers={Problem: show})
