"""A vendor's code at its worst: every secret that it was given stands in its errors."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from innkeeper import Permanent, Temporary


def later(transition: Any, instance: Any, context: Any) -> None:
    """Fail for a while, with the secrets as JSON."""
    raise Temporary(3600, f"not yet: {json.dumps(context.secrets)}")


def never(transition: Any, instance: Any, context: Any) -> None:
    """Fail for good, with the secrets as Python writes them."""
    raise Permanent(f"no room for {context.secrets}")


def breaks(transition: Any, instance: Any, context: Any) -> None:
    """Fail as code does, in a chain of errors, with each secret as a URL holds it."""
    try:
        raise KeyError(*context.secrets.values())
    except KeyError as error:
        told = "&".join(f"{name}={quote(str(value))}" for name, value in context.secrets.items())
        raise ValueError(f"GET https://vendor.invalid/?{told}") from error


def calls_home(transition: Any, instance: Any, context: Any) -> None:
    """Call the marketplace in the customer's name, and let its error through."""
    context.api.get("/people/me")
