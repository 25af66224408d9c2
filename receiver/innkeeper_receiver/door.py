"""Which connections a process holds: at most so many, and who has to leave for a new one."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from innkeeper.logs import get_logger
from innkeeper_receiver import answers
from innkeeper_receiver.edge import Edge
from innkeeper_receiver.figures import Figures

_OTHER_FILES = 256
log = get_logger()


class Door:
    """The connections of a receiver.

    `heads`: those that wait for a request's head, the longest first; `bodies`: those whose body
    is not whole yet. All others are busy with requests.
    """

    def __init__(self, figures: Figures, *, headers_within: float, most_connections: int) -> None:
        """`headers_within`: seconds."""
        self.figures = figures
        self.headers_within = headers_within
        self._most = most_connections
        self.heads: dict[Edge, None] = {}
        self.bodies: dict[Edge, None] = {}

    def protocol(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Edge:
        """What uvicorn makes for each connection."""
        return Edge(self, config, server_state, app_state, _loop)

    def admits(self, *, held: int) -> bool:
        """Whether a new connection, counted in `held`, can be held; drops another if need be."""
        if held <= self._most:
            return True
        for waiting, share, words in (
            (self.heads, "heads", b""),
            (self.bodies, "slow_bodies", answers.on_the_wire(503)),
        ):
            longest = next(iter(waiting), None)
            if longest is not None:
                self.figures.shed(share)
                longest.drop(words)
                return True
        self.figures.shed("connections")
        return False

    def fit_open_files(self) -> None:
        """Raise this process's limit of open files to what is wanted; else hold fewer."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self._most + _OTHER_FILES
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        except (OSError, ValueError):
            raised = soft
        if raised < wanted:
            self._most = max(1, raised - _OTHER_FILES)
            log.warning("connections.capped", most=self._most, open_files=raised)
