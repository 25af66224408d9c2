"""Does it all add up: log, register, outbox, and what receivers noted of their own 202s.

Asked by operators. Writes nothing. Beside live traffic whatever seems wrong is looked at again
before it counts. Holds a part of one partition in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from innkeeper.operations.audit_log import Balance, audit_log
from innkeeper.operations.audit_notes import Lost, NotesAudit
from innkeeper.operations.audit_register import audit_register
from innkeeper.operations.audit_work import audit_work
from innkeeper.operations.desk import Desk
from innkeeper.operations.findings import Finding
from innkeeper.spool import SpoolUnavailable
from innkeeper.store.partitions import PARTITIONS


class Audit:
    """One audit; what was counted and lost is known when `findings` is at its end."""

    def __init__(self, desk: Desk) -> None:
        """Audit the store of `desk`, and the notes and the spool of its data folder."""
        self._desk = desk
        self._notes = NotesAudit(desk)
        self.balance = Balance()
        self.lost: list[Lost] = []

    @property
    def notes(self) -> int:
        """How many notes of receivers were held against the log."""
        return self._notes.notes

    def findings(self, tell: Callable[[str], None]) -> Iterator[Finding]:
        """What does not fit, as it is found; `tell` is told where the audit is.

        Raises MissingKey, StoreError, StoreUnavailable.
        """
        for partition in PARTITIONS:
            tell(f"partition {partition + 1} of {len(PARTITIONS)}")
            balance, found = audit_log(self._desk, partition)
            self.balance = self.balance.plus(balance)
            yield from found
            yield from audit_register(self._desk, partition)
        tell("work")
        yield from audit_work(self._desk)
        tell("notes of receivers")
        try:
            self.lost = self._notes.lost()
        except SpoolUnavailable as error:
            yield Finding(what="spool", id=str(self._desk.config.data), says=str(error))
