"""Runs an ASGI app on uvicorn until a signal, then drains and returns: for receiver and console."""

from __future__ import annotations

import gc
import signal
from typing import Any

import uvicorn

from innkeeper.config import Bind

_GENERATIONS = (50_000, 20, 100)


def server_config(
    app: Any, *, drain_seconds: float, protocol: Any = "httptools", **where: Any
) -> uvicorn.Config:
    """How uvicorn serves an app of ours; `where`: host and port, if it is to listen itself."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, int(drain_seconds)),
        **where,
    )


def run_app(app: Any, bind: Bind, *, drain_seconds: float, protocol: Any = "httptools") -> None:
    """Serve `app` until SIGTERM or SIGINT, which may come twice; then finish what is under way.

    `protocol`: what uvicorn makes for each connection.
    Raises SystemExit when the address cannot be had.
    """
    config = server_config(
        app, drain_seconds=drain_seconds, protocol=protocol, host=bind.host, port=bind.port
    )
    # uvicorn raises a signal that it caught once more when it is done; it then finds this.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What was made at start-up lives as long as the process: a collection that walks it again and
    # again costs 25 to 30 ms each time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GENERATIONS)
    uvicorn.Server(config).run()
