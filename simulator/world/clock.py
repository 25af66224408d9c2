"""The world's own time and numbers: growing, and the same in every run from the same start."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone

_LOCAL = timezone(timedelta(hours=-5))


class Clock:
    """Every change has a second of its own, so that no two share an `updatedTime`."""

    def __init__(self, start: datetime) -> None:
        self._now = start.replace(microsecond=0)

    @property
    def now(self) -> datetime:
        """The time of the last change."""
        return self._now

    def tick(self) -> datetime:
        """The time of the next change."""
        self._now += timedelta(seconds=1)
        return self._now


def xurrent_time(moment: datetime) -> str:
    """As Xurrent writes it: in a local time, with its offset."""
    return moment.astimezone(_LOCAL).isoformat(timespec="seconds")


def rebilly_time(moment: datetime) -> str:
    """As Rebilly writes it: `2019-08-24T14:15:22Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def xandr_time(moment: datetime) -> str:
    """As Xandr writes it: UTC, without saying so."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def node_id(domain: str, kind: str, number: int) -> str:
    """Xurrent's second kind of id: the first one in base64, without padding."""
    return base64.urlsafe_b64encode(f"{domain}/{kind}/{number}".encode()).rstrip(b"=").decode()
