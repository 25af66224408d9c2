"""How much is tried: a number of examples a test, times what `FUZZ` in the environment says."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ", "1"))


def effort(examples: int) -> settings:
    """Settings of a test that tries `examples` in an ordinary run."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
