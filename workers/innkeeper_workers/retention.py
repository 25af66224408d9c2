"""Drops old entries of the log in slices: by age, and by bytes over all partitions.

Never past a cursor, nor an entry that unfinished work or a dead letter goes back to.
"""

from __future__ import annotations

import time

from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk

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
            while slice_ := self._desk.log.trim(partition, before_millis=before, most_bytes=most):
                gone += slice_
        if gone:
            log.info("log.trimmed", entries=gone)
        return gone
