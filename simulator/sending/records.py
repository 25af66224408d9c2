"""What was sent, and what became of it: the other side's own count."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.world.messages import Message


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One POST. `status`: of the answer; None where none came in time."""

    delivery: str
    at: float
    status: int | None
    error: str | None


@dataclass(slots=True, kw_only=True)
class Record:
    """A message on its way to one hook.

    `outcome`: pending, answered, given_up (after all retries), switched_off (its webhook, or not
    yet verified) or dropped (never sent at all). `repeat`: answered before, and sent again.
    """

    number: int
    message: Message
    hook: int
    origin: str
    repeat: bool = False
    outcome: str = "pending"
    attempts: list[Attempt] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Plain JSON, without the payload."""
        said = self.message
        return {
            "number": self.number,
            "platform": said.platform,
            "app": said.app,
            "account": said.account,
            "event": said.event,
            "audit_line_id": said.payload.get("audit_line_id"),
            "webhook": self.hook,
            "delivery": self.origin,
            "repeat": self.repeat,
            "outcome": self.outcome,
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }


class Records:
    """All records of the run, in the order of sending."""

    def __init__(self) -> None:
        self.all: list[Record] = []

    def open(self, message: Message, hook: int, origin: str, *, repeat: bool = False) -> Record:
        """A new record, still pending."""
        record = Record(
            number=len(self.all), message=message, hook=hook, origin=origin, repeat=repeat
        )
        self.all.append(record)
        return record

    def counts(self) -> dict[str, int]:
        """Records by outcome; `sent`: POSTs; `retried`: POSTs after a failed one."""
        found = Counter(record.outcome for record in self.all)
        names = ("pending", "answered", "given_up", "switched_off", "dropped")
        sent = sum(len(record.attempts) for record in self.all)
        retried = sum(max(len(record.attempts) - 1, 0) for record in self.all)
        statuses = Counter(
            f"status_{attempt.status}" for record in self.all for attempt in record.attempts
        )
        return {
            **{name: found[name] for name in names},
            "sent": sent,
            "retried": retried,
            "repeated": sum(record.repeat for record in self.all),
            **dict(sorted(statuses.items())),
        }
