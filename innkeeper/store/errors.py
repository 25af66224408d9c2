"""What can go wrong with the store, in our words; raised by everything under `store`."""

from __future__ import annotations


class StoreError(Exception):
    """The store answered, with an error: full, misconfigured, or a script of ours is wrong."""


class StoreUnavailable(Exception):
    """No answer: away, hung or loading. What was sent may or may not have been done."""


class StoreRefused(Exception):
    """The store is not one that this version can work with; the message says why."""
