"""Checks of the store: does it answer, may it be trusted, is it the one we knew, its clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from innkeeper.config import Config
from innkeeper.config.hosts import without_password
from innkeeper.operations.desk import store_url
from innkeeper.operations.doctor.findings import fine, span, warning, wrong
from innkeeper.operations.documents import rfc3339
from innkeeper.operations.epochs import known_epoch
from innkeeper.store import schema, trust
from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.trust import Finding

_TELLING_SECONDS, _WRONG_SECONDS = 1.0, 30.0
_REMEMBERED = timedelta(days=14)


def check(config: Config, store: Store) -> list[Finding]:
    """All of it. Raises nothing for a store that is away: that is the finding."""
    where = without_password(store_url(config))
    try:
        findings = trust.inspect(store, config.store.durability)
        return [
            fine("store", f"it answers at {where}"),
            *(replace(one, name=f"store, {one.name}") for one in findings),
            _epoch(config, store),
            _clock(store),
        ]
    except StoreUnavailable as error:
        start = "start it" if config.store.url else "start `innkeeper up`"
        said = f"it does not answer at {where} ({error}): {start}; deliveries go to the spool"
        return [wrong("store", said)]
    except StoreError as error:
        return [wrong("store", f"it answers at {where} with an error: {error}")]


def is_in_use(store: Store) -> bool:
    """Whether any service has ever used it. Raises StoreError, StoreUnavailable."""
    return schema.epoch_of(store) is not None


def _epoch(config: Config, store: Store) -> Finding:
    name, known, epoch = "store, epoch", known_epoch(config.data), schema.epoch_of(store)
    if epoch is None and known is None:
        return warning(name, "it is empty: no service has used it yet")
    lost = "`innkeeper audit` lists what is lost, `innkeeper reconcile` asks the marketplaces"
    if epoch is None:
        return wrong(name, f"it has been wiped, or is another one and empty: {lost}")
    if known is None:
        return fine(name, "neither a receiver nor a worker of this host has seen it yet", epoch)
    if known.epoch != epoch:
        since = rfc3339(known.since)
        said = f"it is another one than this host has known since {since} ({known.epoch}): {lost}"
        return wrong(name, said, epoch)
    before = known.before
    if before is not None and datetime.now(UTC) - before.went < _REMEMBERED:
        said = f"the one before ({before.epoch}) was found gone at {rfc3339(before.went)}: {lost}"
        return warning(name, said, epoch)
    return fine(name, f"it is the one that this host has known since {rfc3339(known.since)}", epoch)


def _clock(store: Store) -> Finding:
    """Half of the round trip is ours to be wrong by."""
    before = time.time()
    seconds, micros = store.command("TIME")
    after = time.time()
    ahead = (before + after) / 2 - (int(seconds) + int(micros) / 1e6)
    value, name = f"{ahead:+.1f} s", "clock, store's"
    if abs(ahead) < _TELLING_SECONDS + (after - before) / 2:
        return fine(name, "ours agrees with it", value)
    way = "ahead of" if ahead > 0 else "behind"
    said = f"ours is {span(abs(ahead))} {way} it: set both by NTP (chronyc tracking, timedatectl)"
    return (wrong if abs(ahead) > _WRONG_SECONDS else warning)(name, said, value)
