"""Calling in a merchant's name: the API under the merchant's own organization."""

from __future__ import annotations

from innkeeper.config import RebillyApp
from innkeeper.platforms.customer_site import CustomerSite
from innkeeper.platforms.rebilly.resources import judge, organization_url


def customer_site(app: RebillyApp, account: str) -> CustomerSite | None:
    """The merchant's organization; None without an API configured."""
    if app.api is None:
        return None
    return CustomerSite(base_url=organization_url(app.api.base_url, account), judge=judge)
