"""Reads the tables of the services: store, queue, receiver, console, retention and so on.

The environment wins over the file, and both are checked. Called by `loading`.
"""

from __future__ import annotations

from typing import TypeVar

from innkeeper.config.hosts import Bind, allowed_host, bind, network, store_url
from innkeeper.config.reading import Reading, Table
from innkeeper.config.sections import (
    ConsoleSection,
    Durability,
    MetricsSection,
    OutgoingSection,
    QueueSection,
    ReceiverSection,
    RetentionSection,
    StoreSection,
    WorkersSection,
)
from innkeeper.config.units import (
    Parse,
    at_least,
    duration,
    integer,
    one_of,
    positive_duration,
    size,
    truth,
)

T = TypeVar("T")

_DURABILITY: Parse[Durability] = one_of("fsync", "everysec", "memory")


def _overridden(reading: Reading, variable: str, parse: Parse[T], stated: T) -> T:
    value = reading.variable(variable)
    return stated if value is None else reading.parsed(variable, value, parse, stated)


def _bind(table: Table, variable: str, default: Bind) -> Bind:
    return _overridden(table.reading, variable, bind, table.take("bind", bind, default))


def read_store(table: Table) -> StoreSection:
    """`[store]` and REDIS_URL."""
    stated = table.take("url", store_url, None)
    section = StoreSection(
        url=_overridden(table.reading, "REDIS_URL", store_url, stated),
        durability=table.take("durability", _DURABILITY, "fsync"),
    )
    table.end()
    return section


def read_queue(table: Table, store: StoreSection) -> QueueSection:
    """`[queue]` and INNKEEPER_QUEUE_URL; without either, the store's server if it has a URL."""
    stated = table.take("url", store_url, None)
    url = _overridden(table.reading, "INNKEEPER_QUEUE_URL", store_url, stated)
    table.end()
    return QueueSection(url=url or store.url)


def read_receiver(table: Table) -> ReceiverSection:
    """`[receiver]` and INNKEEPER_RECEIVER_BIND."""
    default = ReceiverSection()
    section = ReceiverSection(
        bind=_bind(table, "INNKEEPER_RECEIVER_BIND", default.bind),
        public_url=table.take("public_url", table.reading.base_url, None),
        max_body=table.take("max_body", size, default.max_body),
        headers_within=table.take("headers_within", positive_duration, default.headers_within),
        body_within=table.take("body_within", positive_duration, default.body_within),
        max_connections=table.take(
            "max_connections", at_least(1, integer), default.max_connections
        ),
        trusted_proxies=table.items("trusted_proxies", network),
        spool=table.take("spool", truth, default.spool),
        spool_bytes=table.take("spool_bytes", size, default.spool_bytes),
    )
    table.end()
    return section


def read_console(table: Table) -> ConsoleSection:
    """`[console]` and INNKEEPER_CONSOLE_BIND."""
    section = ConsoleSection(bind=_bind(table, "INNKEEPER_CONSOLE_BIND", ConsoleSection().bind))
    table.end()
    return section


def read_retention(table: Table) -> RetentionSection:
    """`[retention]`."""
    default = RetentionSection()
    section = RetentionSection(
        deliveries=table.take("deliveries", positive_duration, default.deliveries),
        deliveries_bytes=table.take("deliveries_bytes", size, default.deliveries_bytes),
        rejected=table.take("rejected", positive_duration, default.rejected),
        removed_secrets=table.take("removed_secrets", duration, default.removed_secrets),
    )
    table.end()
    return section


def read_outgoing(table: Table) -> OutgoingSection:
    """`[outgoing]`."""
    section = OutgoingSection(allow_hosts=table.items("allow_hosts", allowed_host))
    table.end()
    return section


def read_metrics(table: Table) -> MetricsSection:
    """`[metrics]`."""
    section = MetricsSection(allow=table.items("allow", network))
    table.end()
    return section


def read_workers(table: Table) -> WorkersSection:
    """`[workers]`."""
    section = WorkersSection(
        perform=table.take("perform", at_least(1, integer), WorkersSection().perform)
    )
    table.end()
    return section
