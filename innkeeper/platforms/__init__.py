"""The marketplaces: a folder each, with the same names in each."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

WITH_WEBHOOKS = ("rebilly", "xurrent")


def inbound_of(platform: str) -> ModuleType | None:
    """The `inbound` module of a marketplace that sends webhooks; None for any other name."""
    if platform not in WITH_WEBHOOKS:
        return None
    return import_module(f"innkeeper.platforms.{platform}.inbound")
