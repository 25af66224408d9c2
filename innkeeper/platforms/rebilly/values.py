"""What deliveries and the API say in the same way: ids, and the time of the last change."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from innkeeper.lifecycle.order import OrderKey, OrderKind

RESOURCE_ID = re.compile(r"(?!\.{1,2}\Z)[@~.\w-]{1,50}\Z", re.ASCII)
"""An id that can stand in a path: `.` and `..` would lead elsewhere."""


def changed_at(updated: Any) -> OrderKey | None:
    """The time of the instance's last change, in microseconds; None where it cannot be read."""
    try:
        moment = datetime.fromisoformat(updated)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return OrderKey(OrderKind.UPDATED, round(aware.timestamp() * 1_000_000))
    except (TypeError, ValueError, OverflowError):
        return None
