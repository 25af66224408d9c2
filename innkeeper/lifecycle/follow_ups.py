"""Follow-ups: what names one for good, and when one that failed is tried again.

Pure. Which follow-ups there are says the configuration; apply sets them off, perform does them.
"""

from __future__ import annotations

import hashlib

from innkeeper.lifecycle.events import DeliveryId, InstanceKey

TRY_FOR_SECONDS = 3600.0
_FIRST_DELAY_SECONDS = 5.0
_LONGEST_DELAY_SECONDS = 600.0


def idempotency_key(
    instance: InstanceKey, cause: DeliveryId, transition: str, follow_up: str
) -> str:
    """The same for every run of the same follow-up of the same transition; 32 hex digits."""
    parts = (str(instance), cause, transition, follow_up)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def next_delay(attempts: int, age_seconds: float, asked: float | None) -> float | None:
    """How long to wait after a failed attempt, in seconds; None: give up.

    `attempts` so far, `age_seconds` since the first, `asked`: the delay that the failure named.
    """
    if attempts > 1 and age_seconds >= TRY_FOR_SECONDS:
        return None
    if asked is not None:
        return max(0.0, asked)
    return min(_FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 10), _LONGEST_DELAY_SECONDS)
