"""Calling in a customer's name: Xandr has no such thing."""

from __future__ import annotations

from innkeeper.config import XandrApp


def customer_site(app: XandrApp, account: str) -> None:
    """Always None."""
    return
