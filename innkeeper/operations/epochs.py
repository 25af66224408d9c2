"""Which store this host knew last, kept in the data folder.

Receiver and workers keep it, so that a store which was wiped or exchanged while they were down is
noticed at their next start; `doctor` and `audit` ask.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from innkeeper.durable import put
from innkeeper.logs import get_logger

_FILE = "store-epoch"
log = get_logger()


class GoneEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """A store that is no more: known from `since` on, found gone at `went`."""

    epoch: str
    since: datetime
    went: datetime


class KnownEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """The store that was seen last, since when, and the one before it."""

    epoch: str
    since: datetime
    before: GoneEpoch | None = None


def known_epoch(data: Path) -> KnownEpoch | None:
    """The last known epoch; None where none is kept, or what is kept cannot be read."""
    try:
        return msgspec.json.decode((data / _FILE).read_bytes(), type=KnownEpoch)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def remember(data: Path, epoch: str) -> GoneEpoch | None:
    """Keep the epoch as the last known one; the one before, if it is gone only now.

    Raises OSError where the data folder cannot be written to.
    """
    known, now = known_epoch(data), datetime.now(UTC)
    if known is not None and known.epoch == epoch:
        return None
    gone = None
    if known is not None:
        gone = GoneEpoch(epoch=known.epoch, since=known.since, went=now)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Several processes of this host read it, and may write it at once.
    known = KnownEpoch(epoch=epoch, since=now, before=gone)
    put(data / _FILE, msgspec.json.encode(known) + b"\n")
    return gone


def notice(data: Path, before: str | None, now: str) -> bool:
    """Keep the epoch, and say so loudly if it is another than before. Whether it is another.

    `before`: the epoch that this process has seen last; None at its start: the kept one counts.
    """
    gone = None
    try:
        gone = remember(data, now)
    except OSError as error:
        log.warning("store.epoch_not_kept", error=str(error))
    before = before or (gone.epoch if gone else None)
    if before in (None, now):
        return False
    log.error("store.epoch_changed", before=before, now=now)
    return True
