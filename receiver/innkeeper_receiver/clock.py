"""How far our clock is from the marketplaces', as the tokens tell that their providers signed.

Fed by the hook, read by the figures. A sample is a token's own time of issue, so that a token that
is sent again, by whomever, weighs no more than once.
"""

from __future__ import annotations

import time
from statistics import median

_SAMPLES = 31
_FRESH_SECONDS = 3600.0


class Clock:
    """The last samples of each platform; lives on one event loop."""

    def __init__(self) -> None:
        self._samples: dict[str, dict[float, tuple[float, float]]] = {}

    def compare(self, platform: str, issued_at: float, now: float) -> None:
        """Note a token's `iat` and our time, both in seconds since the epoch."""
        samples = self._samples.setdefault(platform, {})
        if issued_at in samples:
            return
        samples[issued_at] = (now - issued_at, time.monotonic())
        if len(samples) > _SAMPLES:
            del samples[next(iter(samples))]

    def skews(self) -> dict[str, float]:
        """By platform, how many seconds our clock is ahead; behind, if less than 0.

        The median of the last 31 tokens, none seen more than an hour ago; a platform without any
        is left out.
        """
        oldest = time.monotonic() - _FRESH_SECONDS
        fresh = {
            platform: [skew for skew, seen_at in samples.values() if seen_at >= oldest]
            for platform, samples in self._samples.items()
        }
        return {platform: median(skews) for platform, skews in fresh.items() if skews}
