"""How the store stands as a whole: what came in, what waits, since when, and what stands still.

Read by the console's metrics and by doctor, in one round trip, one short script a partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from innkeeper.store.connection import Command, script
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import BELLS_OF_OUTBOX
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.trouble import Trouble

_PINS = 100
"""Of work and dead letters, the oldest first, so many are looked through for unfinished work."""
COUNTERS = ("accepted", "duplicate", "applied", "dead", "trimmed", "bytes")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all partitions; times in seconds since the epoch, by the store's clock.

    `now`: that clock. `oldest_pending_at`: when the oldest entry that waits to be folded came into
    the log. `work`: unfinished, without what is dead; `oldest_work_at`: when the delivery behind
    the oldest of it came in, or earlier, where many older letters are dead. `lanes`: by bell, the
    lanes of instances with work. `stopped`: why, by partition. `heard`: by `platform/app`, when its
    last delivery came in.
    """

    now: float
    counts: Mapping[str, int]
    instances: int
    dead_letters: int
    work: int
    lanes: Mapping[str, int]
    oldest_pending_at: float | None = None
    oldest_work_at: float | None = None
    stopped: Mapping[int, str] = {}
    heard: Mapping[str, float] = {}

    @property
    def pending(self) -> int:
        """How many entries wait to be folded."""
        return self.counts["accepted"] - self.counts["applied"] - self.counts["dead"]


class _Partition(msgspec.Struct, frozen=True, array_like=True):
    """What the script gives, as it gives it."""

    now: bytes
    counts: list[bytes]
    behind: bytes
    instances: int
    dead: int
    pins: int
    oldest_work: bytes
    performs: int
    marketplaces: int
    trouble: bytes
    heard: list[bytes]


def standing_commands() -> list[Command]:
    """The calls that ask each partition."""
    return [_command(partition) for partition in PARTITIONS]


def read_standing(answers: Sequence[Any]) -> Standing:
    """What the store answered to `standing_commands`."""
    found = [msgspec.convert(answer, _Partition) for answer in answers]
    counts = Counter(dict.fromkeys(COUNTERS, 0))
    heard: dict[str, float] = {}
    for one in found:
        counts.update({name.decode(): int(value) for name, value in _pairs(one.counts)})
        for app, millis in _pairs(one.heard):
            heard[app.decode()] = max(heard.get(app.decode(), 0.0), float(millis) / 1000)
    behind = [int(one.behind.partition(b"-")[0]) / 1000 for one in found if one.behind]
    oldest = [at / 1000 for one in found if (at := float(one.oldest_work)) >= 0]
    lanes = (sum(one.performs for one in found), sum(one.marketplaces for one in found))
    dead = sum(one.dead for one in found)
    return Standing(
        now=max(int(one.now) for one in found) / 1e6,
        counts=counts,
        instances=sum(one.instances for one in found),
        dead_letters=dead,
        work=sum(one.pins for one in found) - dead,
        lanes=dict(zip(BELLS_OF_OUTBOX, lanes, strict=True)),
        oldest_pending_at=min(behind, default=None),
        oldest_work_at=min(oldest, default=None),
        stopped={p: why for p, one in enumerate(found) if (why := _why_stopped(one.trouble))},
        heard=heard,
    )


def _command(partition: int) -> Command:
    keys = keys_of(partition)
    names = [
        keys.counts, keys.log, keys.cursor, keys.dead, keys.pins, keys.by_id, keys.trouble,
        *(keys.due + bell for bell in BELLS_OF_OUTBOX), keys.last,
    ]  # fmt: skip
    return script("standing").call(names, [partition, _PINS])


def _pairs(flat: Sequence[bytes]) -> zip[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _why_stopped(trouble: bytes) -> str:
    return msgspec.json.decode(trouble, type=Trouble).stopped if trouble else ""
