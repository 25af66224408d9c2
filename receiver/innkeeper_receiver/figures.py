"""The receiver's figures, for /metrics. Their names are listed in docs/operations.md."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from innkeeper.spool import SpoolState
from innkeeper_receiver.clock import Clock

_SPOOL = {
    "deliveries": "Deliveries in the spool of this host",
    "bytes": "Bytes of disk that the spool has in use",
    "limit_bytes": "Bytes of disk that the spool may have in use",
    "age_seconds": "How long the oldest delivery has been in the spool",
    "overdue": "Deliveries in the spool that are too old to be drained",
    "usable": "1 while the spool can be read and written",
}


class Figures:
    """Counters of one receiver process, and what it knows of the clock and of its spool."""

    def __init__(self) -> None:
        """Make a registry of our own: nothing is registered at import."""
        self._registry = CollectorRegistry()
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._answers = Counter(
            "innkeeper_deliveries",
            "Deliveries by platform, app and HTTP status of the answer",
            ("platform", "app", "status"),
            registry=self._registry,
        )
        self.refused = Counter(
            "innkeeper_refused",
            "Refused deliveries by platform, app and reason",
            ("platform", "app", "reason"),
            registry=self._registry,
        )
        self._shed = Counter(
            "innkeeper_shed",
            "What was turned away or dropped for want of room, by the bound that was reached",
            ("share",),
            registry=self._registry,
        )
        self.store_ready = Gauge(
            "innkeeper_store_ready",
            "1 while the store takes deliveries",
            registry=self._registry,
        )
        self.clock = Clock()
        self._skew = Gauge(
            "innkeeper_clock_skew_seconds",
            "How far our clock is ahead of the platform's; behind, if less than 0",
            ("platform",),
            registry=self._registry,
        )
        self._spool = {
            name: Gauge(f"innkeeper_spool_{name}", said, registry=self._registry)
            for name, said in _SPOOL.items()
        }

    def answered(self, platform: str, app: str, status: int) -> None:
        """Count an answer."""
        counter = self._counters.get((platform, app, status))
        if counter is None:
            counter = self._answers.labels(platform, app, status)
            self._counters[platform, app, status] = counter
        counter.inc()

    def shed(self, share: str) -> None:
        """Count what had to go for want of room; `share`: of which."""
        self._shed.labels(share).inc()

    def show_spool(self, state: SpoolState, *, most_bytes: int) -> None:
        """Tell what the spool holds, out of `most_bytes`; never called where there is none."""
        age = time.time() - state.oldest_at if state.oldest_at is not None else 0.0
        values = {
            "deliveries": state.deliveries,
            "bytes": state.bytes,
            "limit_bytes": most_bytes,
            "age_seconds": max(0.0, age),
            "overdue": state.overdue,
            "usable": state.error is None,
        }
        for name, value in values.items():
            self._spool[name].set(value)

    def text(self) -> bytes:
        """The figures in the format of Prometheus."""
        self._skew.clear()
        for platform, seconds in self.clock.skews().items():
            self._skew.labels(platform).set(seconds)
        return generate_latest(self._registry)
