"""What tests of levers share: apps with an API, its documents, and workers that apply meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from innkeeper.config import (
    App,
    Basic,
    RebillyApi,
    RebillyApp,
    XandrApi,
    XandrApp,
    XurrentApi,
    XurrentApp,
)
from innkeeper_workers.apply import Applying
from simulator import settings as simulated
from simulator.settings import Settings
from tests.inn import REBILLY, XURRENT, Inn

PATH = "/v1/app_instances/7"


def apps_of(url: str) -> tuple[App, ...]:
    """An app of each marketplace, whose API is at `url`."""
    xurrent = XurrentApi(base_url=f"{url}/v1", oauth_url=f"{url}/token", token="pat-1")
    rebilly = RebillyApi(base_url=f"{url}/organizations/org_1", api_key="key-1")
    xandr = XandrApi(base_url=url, username="user-1", password="pass-1")
    return (
        replace(XURRENT, api=xurrent, reconcile=3600.0),
        replace(REBILLY, api=rebilly, reconcile=3600.0),
        XandrApp(name="deals", reference="20", api=xandr),
    )


def simulated_apps(settings: Settings) -> tuple[XurrentApp, RebillyApp, XandrApp]:
    """The simulator's first apps, as the vendor configures them."""
    xurrent = XurrentApi(
        base_url=f"{settings.base}/xurrent/v1",
        oauth_url=f"{settings.base}/xurrent/token",
        client_id=simulated.CLIENT_ID,
        client_secret=simulated.CLIENT_SECRET,
    )
    rebilly = RebillyApi(
        base_url=f"{settings.base}/rebilly/organizations/{simulated.OWNER}",
        api_key=simulated.API_KEY,
    )
    xandr = XandrApi(
        base_url=f"{settings.base}/xandr",
        username=simulated.XANDR_USER,
        password=simulated.XANDR_PASSWORD,
    )
    credential = Basic(username=simulated.HOOK_USER, password=simulated.HOOK_PASSWORD)
    return (
        replace(XURRENT, account=simulated.ACCOUNT, domain=simulated.DOMAIN, api=xurrent),
        replace(REBILLY, credential=credential, api=rebilly),
        XandrApp(name="deals", reference="20", api=xandr),
    )


def shown(**changes: Any) -> dict[str, Any]:
    """The app instance 7 of acme, as the marketplace's API shows it."""
    return {
        "id": 7,
        "app_offering": {"id": 1, "reference": "notes"},
        "customer_account": {"id": "acme", "name": "Acme"},
        "disabled": False,
        "enabled_by_customer": True,
        "suspended": False,
    } | changes


@contextlib.contextmanager
def applied_meanwhile(inn: Inn) -> Iterator[None]:
    """A worker applies whatever comes in, as long as the block lasts."""
    ended = threading.Event()

    def work() -> None:
        applying = Applying(inn.desk)
        while not ended.wait(0.01):
            while applying.look():
                continue

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
