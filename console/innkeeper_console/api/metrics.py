"""`/metrics`: the figures of the store as a whole. Their names are listed in docs/api.md."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.desk import Desk
from innkeeper_console.api.answers import desk_of


class _Figures:
    """Asks the store each time; nothing is counted in this process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        counts = self._desk.log.counts()
        entries = CounterMetricFamily(
            "innkeeper_entries", "Entries of the log by what became of them", labels=["outcome"]
        )
        for name in ("accepted", "duplicate", "applied", "dead", "trimmed"):
            entries.add_metric([name], counts[name])
        yield entries
        pending = counts["accepted"] - counts["applied"] - counts["dead"]
        troubles = self._desk.troubles.all().values()
        gauges = {
            "log_bytes": ("Bytes of entries that the log holds", counts["bytes"]),
            "entries_pending": ("Entries that wait to be folded", pending),
            "instances": ("Instances in the register", self._desk.register.count()),
            "dead_letters": ("Dead letters", self._desk.dead_letters.count()),
            "work_open": ("Work that is unfinished, or dead", self._desk.outbox.waiting()),
            "partitions_stopped": ("Partitions that stand", sum(bool(t.stopped) for t in troubles)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"innkeeper_{name}", text, value=value)


def metrics(request: Request) -> Response:
    """In the format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(desk_of(request)))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")


ROUTES = [Route("/metrics", metrics)]
