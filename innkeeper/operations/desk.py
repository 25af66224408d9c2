"""The desk: the open store with all that reads and writes it, as one service holds it.

Made once in a process's entry and passed down to workers, console and CLI.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

from innkeeper import runtime
from innkeeper.bells import Bell, BellName
from innkeeper.config import Config
from innkeeper.config.key_file import open_ring
from innkeeper.logs import get_logger
from innkeeper.outgoing import Outgoing
from innkeeper.secrets import KeyRing
from innkeeper.store import schema, trust
from innkeeper.store.bases import Bases
from innkeeper.store.connection import Store
from innkeeper.store.dead_letters import DeadLetters
from innkeeper.store.digests import Digests
from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable
from innkeeper.store.log import Log
from innkeeper.store.outbox import Outbox
from innkeeper.store.passes import Passes
from innkeeper.store.register import Register
from innkeeper.store.rejected import Rejected
from innkeeper.store.tokens import Tokens
from innkeeper.store.trouble import Troubles

_TRY_AGAIN_SECONDS = 1.0
_QUEUE_SECONDS = 1.0
"""A bell that cannot be rung holds nobody up for longer; the sweep rings again."""
log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """What a service needs to ask and do anything."""

    config: Config
    store: Store
    queue: Store
    ring: KeyRing
    digests: Digests
    log: Log
    bases: Bases
    register: Register
    outbox: Outbox
    dead_letters: DeadLetters
    rejected: Rejected
    troubles: Troubles
    tokens: Tokens
    passes: Passes
    outgoing: Outgoing
    bells: dict[BellName, Bell]

    def close(self) -> None:
        """Close the connections."""
        self.store.close()
        self.queue.close()
        self.outgoing.close()


def store_url(config: Config) -> str:
    """Where the store is: as configured, or the embedded one of the data folder."""
    return config.store.url or runtime.socket_url(config.data, "store")


def queue_url(config: Config) -> str:
    """Where RQ's server is: as configured, or the embedded one of the data folder."""
    return config.queue.url or runtime.socket_url(config.data, "queue")


def open_desk(config: Config) -> Desk:
    """Connect, and bring the store to this version's layout.

    Raises StoreRefused, StoreError, StoreUnavailable.
    """
    store = Store(store_url(config))
    queue = Store(queue_url(config), timeout_seconds=_QUEUE_SECONDS)
    schema.prepare(store)
    ring = open_ring(config)
    return Desk(
        config=config,
        store=store,
        queue=queue,
        ring=ring,
        digests=Digests(store, ring),
        log=Log(store, ring),
        bases=Bases(store),
        register=Register(store, ring),
        outbox=Outbox(store),
        dead_letters=DeadLetters(store),
        rejected=Rejected(store, ring, max_age_seconds=config.retention.rejected),
        troubles=Troubles(store),
        tokens=Tokens(store, ring),
        passes=Passes(store),
        outgoing=Outgoing(config.outgoing.allow_hosts),
        bells={name: Bell(name, queue) for name in BellName},
    )


def wait_for_desk(config: Config, *, refuse_untrusted: bool) -> Desk:
    """Open the desk, however long the store takes to be there. Raises StoreRefused.

    `refuse_untrusted`: also for a store whose settings do not keep what it is given; otherwise
    that is only said.
    """
    told: set[str] = set()
    while True:
        try:
            if (reason := _distrust(config)) and refuse_untrusted:
                raise StoreRefused(reason)
            if reason and reason not in told:
                log.error("store.untrusted", reason=reason)
                told.add(reason)
            return open_desk(config)
        except (StoreError, StoreUnavailable) as error:
            if "unavailable" not in told:
                log.warning("store.state", state=f"unavailable: {error}")
            told.add("unavailable")
            time.sleep(_TRY_AGAIN_SECONDS)


def _distrust(config: Config) -> str | None:
    with closing(Store(store_url(config))) as store:
        return trust.refusal_to_start(trust.inspect(store, config.store.durability))
