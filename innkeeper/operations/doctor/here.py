"""Checks of this host: what its spool holds, and whether there is room in the data folder."""

from __future__ import annotations

import shutil
import time

from innkeeper.config import Config
from innkeeper.operations.doctor.findings import fine, mebibytes, span, warning, wrong
from innkeeper.spool import look
from innkeeper.store.trust import Finding

_TIGHT_BYTES, _FULL_BYTES = 1 << 30, 100 << 20


def check_spool(config: Config) -> list[Finding]:
    """Whether deliveries wait on this host for the store."""
    name, now = "spool", time.time()
    if not config.receiver.spool:
        return [fine(name, "it is off: while the store is away, deliveries are answered 503")]
    state = look(config.data, now=now)
    if state is None:
        return [fine(name, "no receiver has made one on this host yet")]
    if state.error is not None:
        return [wrong(name, f"{state.error}: while the store is away, deliveries are answered 503")]
    value = f"{state.deliveries} deliveries, {mebibytes(state.bytes)}"
    if state.overdue:
        said = (
            f"{state.overdue} are too old to be drained, for their claims are gone: they may be in "
            "the log already; see `innkeeper audit`"
        )
        return [wrong(name, said, value)]
    if state.deliveries:
        age = span(now - (state.oldest_at or now))
        most = mebibytes(config.receiver.spool_bytes)
        said = f"they wait for the store, the oldest for {age}; there is room for {most}"
        return [warning(name, said, value)]
    return [fine(name, "nothing waits in it", value)]


def check_disk(config: Config) -> list[Finding]:
    """Whether there is room for the spool, and for the store if it is the embedded one."""
    name, folder = "disk", config.data
    if not folder.exists():
        return [warning(name, f"there is no data folder {folder} yet")]
    free = shutil.disk_usage(folder).free
    value = f"{mebibytes(free)} free"
    if free > _TIGHT_BYTES:
        return [fine(name, f"there is room in {folder}", value)]
    said = f"make room for {folder}: spool and embedded store lie there"
    return [(wrong if free < _FULL_BYTES else warning)(name, said, value)]
