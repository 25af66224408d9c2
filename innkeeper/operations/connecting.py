"""Connects an app to its marketplace: registers there what makes its deliveries come to us.

Asked by operators. Idempotent: whatever a run has left undone, the next one does.
"""

from __future__ import annotations

from collections.abc import Iterator

from innkeeper.config import App
from innkeeper.operations.desk import Desk
from innkeeper.operations.questions import BadQuestion
from innkeeper.operations.reading import open_client
from innkeeper.platforms import WITH_WEBHOOKS, connecting_of
from innkeeper.platforms.connecting import KeyFolder, Place, Step


def connect(desk: Desk, app: App) -> Iterator[Step]:
    """Each step as soon as it is done. Raises BadQuestion, ApiError, OSError."""
    config = desk.config
    client = open_client(desk, app)
    url = config.receiver.public_url
    if url is None and app.platform in WITH_WEBHOOKS:
        raise BadQuestion("receiver.public_url: is missing: the marketplace has to know where to")
    place = Place(
        hooks=f"{url or ''}/hooks/{app.platform}",
        keys=KeyFolder(config.data / "keys"),
        apps=config.apps,
    )
    yield from connecting_of(app.platform).connect(app, client, place)
