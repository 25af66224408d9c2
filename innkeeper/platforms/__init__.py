"""The marketplaces: a folder each, with the same names in each."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType

WITH_WEBHOOKS = ("rebilly", "xurrent")


def client_of(platform: str) -> ModuleType:
    """The `client` module of a marketplace."""
    return import_module(f"innkeeper.platforms.{platform}.client")


@lru_cache(maxsize=16)
def inbound_of(platform: str) -> ModuleType | None:
    """The `inbound` module of a marketplace that sends webhooks; None for any other name."""
    if platform not in WITH_WEBHOOKS:
        return None
    return import_module(f"innkeeper.platforms.{platform}.inbound")


def acting_of(platform: str) -> ModuleType:
    """The `acting` module of a marketplace."""
    return import_module(f"innkeeper.platforms.{platform}.acting")


def connecting_of(platform: str) -> ModuleType:
    """The `connecting` module of a marketplace."""
    return import_module(f"innkeeper.platforms.{platform}.connecting")
