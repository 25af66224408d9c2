"""The configuration as the processes hold it: read once at the entry, frozen, passed down.

All times in seconds, all sizes in bytes, all paths absolute.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from innkeeper.config.apps import App
from innkeeper.config.hosts import Bind
from innkeeper.config.redaction import Redacted

Durability = Literal["fsync", "everysec", "memory"]


class StoreSection(Redacted, frozen=True, kw_only=True):
    """The store. `url`: None is the embedded one in the data folder; may hold a password."""

    hidden: ClassVar[frozenset[str]] = frozenset({"url"})

    url: str | None = None
    durability: Durability = "fsync"


class QueueSection(Redacted, frozen=True, kw_only=True):
    """RQ's server. `url`: None is the embedded one; may hold a password."""

    hidden: ClassVar[frozenset[str]] = frozenset({"url"})

    url: str | None = None


class ReceiverSection(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP edge. `trusted_proxies`: IP networks whose X-Forwarded-* headers are believed."""

    bind: Bind = Bind(host="127.0.0.1", port=8000)
    public_url: str | None = None
    max_body: int = 1 << 20
    headers_within: float = 10.0
    body_within: float = 20.0
    max_connections: int = 2000
    trusted_proxies: tuple[str, ...] = ()
    spool: bool = True
    spool_bytes: int = 1 << 30


class ConsoleSection(msgspec.Struct, frozen=True, kw_only=True):
    """The operators' side."""

    bind: Bind = Bind(host="127.0.0.1", port=8001)


class RetentionSection(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept."""

    deliveries: float = 14 * 86400.0
    deliveries_bytes: int = 2 << 30
    rejected: float = 14 * 86400.0
    removed_secrets: float = 30 * 86400.0


class OutgoingSection(msgspec.Struct, frozen=True, kw_only=True):
    """`allow_hosts`: `host` or `host:port`, to which http:// and private addresses are allowed."""

    allow_hosts: tuple[str, ...] = ()


class MetricsSection(msgspec.Struct, frozen=True, kw_only=True):
    """`allow`: IP networks that may read the metrics without a token."""

    allow: tuple[str, ...] = ()


class WorkersSection(msgspec.Struct, frozen=True, kw_only=True):
    """`perform`: how many workers run follow-ups at the same time."""

    perform: int = 2


class FollowUp(Redacted, frozen=True, kw_only=True):
    """What is to be done upon transitions: exactly one of `call` and `post`.

    `app`, `platform`: None is any. `secret`: `whsec_…`, signs what is posted.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"secret"})

    name: str
    on: tuple[str, ...]
    app: str | None = None
    platform: str | None = None
    call: str | None = None
    post: str | None = None
    secret: str | None = None
    timeout: float = 30.0
    on_failure: Literal["continue", "block"] = "continue"

    def wants(self, transition: str, platform: str, app: str) -> bool:
        """Whether this transition of an instance of this app sets it off."""
        return (
            transition in self.on and self.platform in (None, platform) and self.app in (None, app)
        )


class Config(Redacted, frozen=True, kw_only=True):
    """All of it. `source`: the file it was read from, None without one.

    `secret_keys`: 32 bytes each, the first encrypts; `secret_keys_file`: where they come from, None
    for the environment. `api_tokens`: all valid. Both may be empty: see `require_keys` and
    `require_token`. `secrets_token`: None where secrets cannot be read.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"secret_keys", "api_tokens", "secrets_token"})

    source: Path | None = None
    data: Path
    store: StoreSection = StoreSection()
    queue: QueueSection = QueueSection()
    receiver: ReceiverSection = ReceiverSection()
    console: ConsoleSection = ConsoleSection()
    retention: RetentionSection = RetentionSection()
    outgoing: OutgoingSection = OutgoingSection()
    metrics: MetricsSection = MetricsSection()
    workers: WorkersSection = WorkersSection()
    apps: tuple[App, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    secret_keys: tuple[bytes, ...] = ()
    secret_keys_file: Path | None = None
    api_tokens: tuple[str, ...] = ()
    secrets_token: str | None = None

    def app(self, platform: str, name: str) -> App | None:
        """The app of this name, or None."""
        for app in self.apps:
            if app.platform == platform and app.name == name:
                return app
        return None
