"""The receiver's figures, for /metrics. Their names are listed in docs/operations.md."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Figures:
    """Counters of one receiver process."""

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
        self.store_ready = Gauge(
            "innkeeper_store_ready",
            "1 while the store takes deliveries",
            registry=self._registry,
        )

    def answered(self, platform: str, app: str, status: int) -> None:
        """Count an answer."""
        counter = self._counters.get((platform, app, status))
        if counter is None:
            counter = self._answers.labels(platform, app, status)
            self._counters[platform, app, status] = counter
        counter.inc()

    def text(self) -> bytes:
        """The figures in the format of Prometheus."""
        return generate_latest(self._registry)
