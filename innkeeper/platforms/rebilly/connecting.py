"""Connects an owner's organization: the credential of its webhook, and the webhook.

One webhook covers all of the owner's applications. Done twice, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from innkeeper.config import Basic, RebillyApp
from innkeeper.platforms.api_errors import Unsupported
from innkeeper.platforms.connecting import Place, Step
from innkeeper.platforms.rebilly.client import Client
from innkeeper.platforms.rebilly.resources import subscription

_READ_ONLY = ("id", "createdTime", "updatedTime")


def connect(app: RebillyApp, client: Client, place: Place) -> Iterator[Step]:
    """Do what is missing, step by step. Raises ApiError."""
    credential = app.credential
    if not isinstance(credential, Basic):
        raise Unsupported("only credentials of type basic can be registered; the rest by hand")
    _check_shared(app, place)
    known = [one for page in client.webhooks.pages() for one in page]
    host = urlsplit(place.hooks).hostname or ""
    mark = client.webhooks.credential(host, credential.username, credential.password)
    yield Step(what=f"the credential {mark} for {host} is there")
    places = (place.hooks, f"{place.hooks}/{app.name}")
    found = next((one for one in known if one.get("url") in places), None)
    if found is None:
        made = client.webhooks.create(place.hooks, mark)
        yield Step(what=f"made the webhook {made.get('id')} to {place.hooks}", changed=True)
        return
    wanted = subscription(found["url"], mark)
    if all(_same(found.get(name), value) for name, value in wanted.items()):
        yield Step(what=f"the webhook {found['id']} to {found['url']} is there")
        return
    client.webhooks.update(found["id"], _writable(found) | wanted)
    yield Step(what=f"mended the webhook {found['id']} to {found['url']}", changed=True)


def _check_shared(app: RebillyApp, place: Place) -> None:
    """The one webhook has one credential: apps of one owner have to agree on it."""
    for other in place.apps:
        if not isinstance(other, RebillyApp) or not (app.api and other.api):
            continue
        if other.api.base_url == app.api.base_url and other.credential != app.credential:
            raise Unsupported(
                f"{app.name} and {other.name} are of one owner, whose webhook has one credential: "
                "give both the same [apps.credentials]"
            )


def _same(stated: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(stated, list) and sorted(map(str, stated)) == sorted(wanted)
    return bool(stated == wanted)


def _writable(webhook: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in webhook.items() if n not in _READ_ONLY and not n.startswith("_")}
