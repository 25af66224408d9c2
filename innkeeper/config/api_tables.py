"""Reads `[apps.api]`: how to call each marketplace. Secrets come from the environment only.

Called by `app_tables`. Each reader gives None where the table is left out.
"""

from __future__ import annotations

from innkeeper.config.apps import RebillyApi, XandrApi, XurrentApi
from innkeeper.config.reading import Table
from innkeeper.config.units import positive_duration, text

_RECONCILE_SECONDS = 3600.0


def read_xurrent_api(app: Table, domain: str) -> tuple[XurrentApi | None, float | None]:
    """The API and its `reconcile`; the URLs follow from the domain where they are left out."""
    if not app.has("api"):
        return None, None
    table = app.table("api")
    by_token, by_client = table.has("token_env"), table.has("client_id")
    by_client = table.has("client_secret_env") or by_client
    if by_token and by_client:
        table.fault("token_env", "stands beside client_id or client_secret_env: one way only")
    elif not by_token and not by_client:
        table.fault("client_id", "is missing; or give token_env")
    api = XurrentApi(
        base_url=table.take("base_url", app.reading.base_url, f"https://api.{domain}/v1"),
        oauth_url=table.take("oauth_url", app.reading.url, f"https://oauth.{domain}/token"),
        client_id=table.need("client_id", text, "") if by_client else None,
        client_secret=table.secret("client_secret_env") if by_client else None,
        token=table.secret("token_env") if by_token else None,
    )
    reconcile = table.take("reconcile", positive_duration, _RECONCILE_SECONDS)
    table.end()
    return api, reconcile


def read_rebilly_api(app: Table) -> tuple[RebillyApi | None, float | None]:
    """The API and its `reconcile`."""
    if not app.has("api"):
        return None, None
    table = app.table("api")
    api = RebillyApi(
        base_url=table.take("base_url", app.reading.base_url, "https://api.rebilly.com"),
        api_key=table.secret("api_key_env"),
    )
    reconcile = table.take("reconcile", positive_duration, _RECONCILE_SECONDS)
    table.end()
    return api, reconcile


def read_xandr_api(app: Table) -> XandrApi | None:
    """The API; how often it is read is the app's `poll`."""
    if not app.has("api"):
        return None
    table = app.table("api")
    api = XandrApi(
        base_url=table.take("base_url", app.reading.base_url, "https://api.appnexus.com"),
        username=table.secret("username_env"),
        password=table.secret("password_env"),
    )
    table.end()
    return api
