"""A vendor's follow-up functions."""

from __future__ import annotations

from typing import Any

from innkeeper import Permanent

provisioned: list[str] = []
NO_FUNCTION = 1


def provision(transition: Any, instance: Any, context: Any) -> None:
    """Note whom it was called for."""
    provisioned.append(instance["id"])


def fail(transition: Any, instance: Any, context: Any) -> None:
    """Never succeed, and spill a secret."""
    raise Permanent(f"no room for {context.secrets}")
