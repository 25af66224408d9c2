"""Connects a plugin: there is nothing to register, but the credentials can be tried."""

from __future__ import annotations

from collections.abc import Iterator

from innkeeper.config import XandrApp
from innkeeper.platforms.connecting import Place, Step
from innkeeper.platforms.xandr.client import Client


def connect(app: XandrApp, client: Client, place: Place) -> Iterator[Step]:
    """Sign in and read. Raises ApiError."""
    next(client.installations.pages())
    yield Step(what="the credentials are good; nothing is to be registered: the list is polled")
