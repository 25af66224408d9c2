"""Calling in a customer's name: the same API as the provider's, with the customer's account."""

from __future__ import annotations

from innkeeper.config import XurrentApp
from innkeeper.platforms.api_answers import judged_plainly
from innkeeper.platforms.customer_site import CustomerSite


def customer_site(app: XurrentApp, account: str) -> CustomerSite | None:
    """The customer's account; None without an API configured."""
    if app.api is None:
        return None
    headers = {"X-Xurrent-Account": account, "X-4me-Account": account}
    return CustomerSite(base_url=app.api.base_url, headers=headers, judge=judged_plainly)
