"""The apply job: reads each partition from its cursor, folds, and commits all of a batch or none.

A partition that cannot go on says so and waits; an entry that alone cannot be folded becomes a
dead letter.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from typing import NamedTuple

import msgspec

from innkeeper.bells import BellName
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk
from innkeeper.secrets import MissingKey
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.log import Batch
from innkeeper.store.trouble import Trouble
from innkeeper_workers import process
from innkeeper_workers.folding import Folding
from innkeeper_workers.redaction import redacted

TRIES = 3
"""How often an entry is tried alone before it is poison; so many in a row are a plague."""
_TRY_AGAIN_SECONDS = 1.0
_STOPPED_SECONDS = 10.0
log = get_logger()


def answer() -> None:
    """The RQ job: look at every partition until nothing is left to fold."""
    process.answer(BellName.APPLY, lambda desk: Applying(desk).look, linger=True)


class _Failure(NamedTuple):
    """The entry at which a batch broke off, and why; `plague`: not the entry's own fault."""

    position: int
    error: Exception
    plague: bool


class Applying:
    """Applies whatever lies behind the cursors."""

    def __init__(self, desk: Desk) -> None:
        """Work with `desk`."""
        self._desk = desk

    def look(self) -> bool:
        """Apply one batch of each partition that has any; whether any was applied."""
        behind = [p for p, probe in enumerate(self._desk.outbox.probe()) if probe.behind]
        if not behind:
            return False
        troubles, now = self._desk.troubles.all(), time.time()
        free = [p for p in behind if p not in troubles or troubles[p].next_try <= now]
        applied = [self._try(partition, troubles.get(partition)) for partition in free]
        return any(applied)

    def _try(self, partition: int, trouble: Trouble | None) -> bool:
        """Apply; what is wrong with one partition's keys must not keep the others waiting."""
        try:
            return self.apply(partition, trouble)
        except StoreError as error:
            text = f"StoreError: {error}"[:500]
            told = msgspec.structs.replace(
                trouble or Trouble(),
                stopped=text,
                error=text,
                next_try=time.time() + _STOPPED_SECONDS,
            )
            self._desk.troubles.set(partition, told)
            log.error("partition.stopped", partition=partition, error=text)
            return False

    def apply(self, partition: int, trouble: Trouble | None = None) -> bool:
        """Apply one batch; False if nothing could be, or another worker was faster."""
        started = time.perf_counter()
        batch = self._desk.log.read(partition)
        if not batch.entries:
            return False
        folding = Folding(self._desk, partition, batch.cursor, batch.entries)
        outcomes, failure = _fold(folding, batch)
        if failure and failure.position == 0:
            return self._stumble(partition, batch, failure, trouble or Trouble())
        good = failure.position if failure else len(batch.entries)
        if trouble:
            folding.commit.clear_trouble()
        if not self._commit(folding, batch, good):
            return False
        log.info(
            "batch.applied",
            partition=partition,
            entries=good,
            outcomes=dict(outcomes),
            works=folding.works,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
        )
        return True

    def _commit(self, folding: Folding, batch: Batch, count: int) -> bool:
        folding.finish()
        if not folding.commit.run(self._desk.store, batch.entries[count - 1].stream_id):
            return False
        if folding.works:
            self._desk.bells[BellName.PERFORM].ring()
            self._desk.bells[BellName.MARKETPLACES].ring()
        return True

    def _stumble(self, partition: int, batch: Batch, failure: _Failure, trouble: Trouble) -> bool:
        """The head cannot be folded: try again, stop, or make it a dead letter."""
        entry, now = batch.entries[0], time.time()
        same = trouble.entry == entry.stream_id
        tries = trouble.tries + 1 if same else 1
        told = Trouble(
            entry=entry.stream_id,
            tries=tries,
            row=trouble.row,
            error=f"{type(failure.error).__name__}: {failure.error}"[:500],
            next_try=now + _TRY_AGAIN_SECONDS,
        )
        if failure.plague or (tries >= TRIES and trouble.row + 1 >= TRIES):
            reason = told.error if failure.plague else "three entries in a row cannot be folded"
            told = msgspec.structs.replace(told, stopped=reason, next_try=now + _STOPPED_SECONDS)
        elif tries >= TRIES:
            return self._bury(partition, batch, failure, trouble.row + 1)
        self._desk.troubles.set(partition, told)
        level = log.error if told.stopped else log.warning
        level(
            "partition.stopped" if told.stopped else "entry.failed",
            partition=partition,
            delivery=entry.delivery,
            tries=tries,
            error=told.stopped or told.error,
        )
        return False

    def _bury(self, partition: int, batch: Batch, failure: _Failure, row: int) -> bool:
        entry = batch.entries[0]
        folding = Folding(self._desk, partition, batch.cursor, [])
        error = redacted(
            f"{type(failure.error).__name__}: {failure.error}"[:500], self._desk.config
        )
        detail = "".join(traceback.format_exception(failure.error))
        folding.bury(entry, error, redacted(detail, self._desk.config))
        if not self._commit(folding, batch, 1):
            return False
        self._desk.troubles.set(partition, Trouble(row=row))
        log.error(
            "dead_letter.added",
            partition=partition,
            delivery=entry.delivery,
            instance=str(entry.instance),
            name="entry",
            error=error,
        )
        return True


def _fold(folding: Folding, batch: Batch) -> tuple[Counter[str], _Failure | None]:
    """Fold as far as it goes."""
    outcomes: Counter[str] = Counter()
    for index, entry in enumerate(batch.entries):
        try:
            outcome = folding.take(entry)
        except MissingKey as error:
            return outcomes, _Failure(index, error, plague=True)
        except (StoreError, StoreUnavailable):
            raise
        except Exception as error:
            return outcomes, _Failure(index, error, plague=False)
        outcomes[outcome.partition(" ")[0]] += 1
    return outcomes, None
