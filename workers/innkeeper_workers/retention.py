"""Drops what is kept long enough: old entries of the log, and removed instances' secrets.

Entries go in slices, by age and by bytes over all partitions; never past a cursor, nor one that
unfinished work or a dead letter goes back to. What they came to is left in base records. Secrets go
by an entry of the log, as they came.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta

from innkeeper.bells import BellName
from innkeeper.lifecycle.events import Event, EventKind
from innkeeper.lifecycle.instance import Instance
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk
from innkeeper.operations.trimming import trim
from innkeeper.store.entry import Captured, EntrySource, NewEntry, new_delivery_id

EVERY_SECONDS = 60
log = get_logger()


class Retention:
    """Trims the log as the configuration says."""

    def __init__(self, desk: Desk) -> None:
        """Work with `desk`."""
        self._desk = desk

    def is_due(self) -> bool:
        """Whether a minute has passed since somebody last looked."""
        return self._desk.log.trim_is_due()

    def run_when_due(self) -> None:
        """Trim, unless somebody did within the last minute."""
        if self._desk.log.claim_trim(EVERY_SECONDS):
            self.run()
            self.destroy_secrets()

    def run(self) -> int:
        """Trim every partition as far as it may be; how many entries went."""
        retention = self._desk.config.retention
        before = int((time.time() - retention.deliveries) * 1000)
        held = self._desk.log.held_bytes()
        # Each partition keeps the same share of what it holds.
        share = min(1.0, retention.deliveries_bytes / max(1, sum(held)))
        gone = 0
        for partition, size in enumerate(held):
            most = int(size * share)
            while slice_ := trim(self._desk, partition, before_millis=before, most_bytes=most):
                gone += slice_
        if gone:
            log.info("log.trimmed", entries=gone)
        return gone

    def destroy_secrets(self) -> int:
        """Have the secrets of instances that were removed long ago destroyed; of how many."""
        before = datetime.now(UTC) - timedelta(seconds=self._desk.config.retention.removed_secrets)
        asked = 0
        for line in self._desk.register.removed():
            held = line.instance.secrets or line.instance.policy
            if held and line.updated_at < before:
                asked += not self._desk.log.append(_destroying(line.instance)).duplicate
        if asked:
            self._desk.bells[BellName.APPLY].ring()
        return asked


def _destroying(instance: Instance) -> NewEntry:
    now = time.time()
    asked_once = f"{instance.key}\n{instance.version}".encode()
    return NewEntry(
        delivery=new_delivery_id(instance.key, now=now),
        instance=instance.key,
        at=now,
        source=EntrySource.OPERATOR,
        event=Event(type="secrets.destroyed", kind=EventKind.DESTROYED),
        signer="retention",
        claims=(hashlib.sha256(asked_once).digest()[:12],),
        captured=Captured(app=instance.app),
    )
