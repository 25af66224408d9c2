"""`/metrics`: the figures of the store as a whole. Their names are listed in docs/api.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.operations.desk import Desk
from innkeeper.operations.standing import AppStanding, figures_of
from innkeeper.store.standing import Standing
from innkeeper_console.api.answers import desk_of

_OF_APPS: dict[str, tuple[str, Callable[[AppStanding], float | None]]] = {
    "last_delivery_timestamp_seconds": (
        "When the app's last delivery came in",
        lambda app: app.heard_at,
    ),
    "last_pass_timestamp_seconds": (
        "When the last pass over the app's list ended",
        lambda app: app.passed_at,
    ),
    "removals_held": (
        "Instances that have vanished, too many at once to be believed",
        lambda app: app.held if app.passes else None,
    ),
    "secrets_missing": (
        "Customers who are there and whose secrets we do not have",
        lambda app: app.secrets_missing if app.passes else None,
    ),
}


class _Figures:
    """Asks the store each time; nothing is counted in this process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        found = figures_of(self._desk)
        yield _entries(found.standing)
        yield from _gauges(found.standing)
        lanes = GaugeMetricFamily(
            "innkeeper_lanes_waiting", "Lanes of instances with work, by bell", labels=["bell"]
        )
        for bell, count in found.standing.lanes.items():
            lanes.add_metric([bell], count)
        yield lanes
        for name, (text, value_of) in _OF_APPS.items():
            labels = ["platform", "app"]
            family = GaugeMetricFamily(f"innkeeper_{name}", text, labels=labels)
            for app in found.apps:
                if (value := value_of(app)) is not None:
                    family.add_metric([app.platform, app.app], value)
            yield family


def _entries(standing: Standing) -> Metric:
    entries = CounterMetricFamily(
        "innkeeper_entries", "Entries of the log by what became of them", labels=["outcome"]
    )
    for name, value in standing.counts.items():
        if name != "bytes":
            entries.add_metric([name], value)
    return entries


def _gauges(standing: Standing) -> Iterator[Metric]:
    def age(since: float | None) -> float:
        return max(0.0, standing.now - since) if since is not None else 0.0

    dead = standing.dead_letters
    gauges = {
        "log_bytes": ("Bytes of entries that the log holds", standing.counts["bytes"]),
        "entries_pending": ("Entries that wait to be folded", standing.pending),
        "entries_pending_age_seconds": (
            "How long the oldest entry has waited to be folded",
            age(standing.oldest_pending_at),
        ),
        "instances": ("Instances in the register", standing.instances),
        "dead_letters": ("Dead letters", dead),
        "work_open": ("Work that is unfinished, or dead", standing.work + dead),
        "work_waiting": ("Follow-ups, handshakes and confirms to be done", standing.work),
        "work_waiting_age_seconds": (
            "Since the delivery behind the oldest of them came in",
            age(standing.oldest_work_at),
        ),
        "partitions_stopped": ("Partitions that stand", len(standing.stopped)),
    }
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(f"innkeeper_{name}", text, value=value)


def metrics(request: Request) -> Response:
    """In the format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(desk_of(request)))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")


ROUTES = [Route("/metrics", metrics)]
