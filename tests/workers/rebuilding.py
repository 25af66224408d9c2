"""What the tests of base records and of `rebuild` share: trimming by steps, and what is found."""

from __future__ import annotations

import time
from typing import Any

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.rebuild import Found, check_partition
from innkeeper.operations.trimming import trim
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from tests.lifecycle.telling import KEY
from tests.workers.conftest import PARTITION, Inn

KEYS, NAME = keys_of(PARTITION), str(KEY)


def neighbours(count: int) -> list[InstanceKey]:
    """Instances of one partition."""
    found, number = [KEY], 0
    while len(found) < count:
        key = InstanceKey(KEY.platform, KEY.app, f"c{number}")
        number += 1
        found += [key] if partition_of(key) == PARTITION else []
    return found


def hold(inn: Inn) -> Found:
    """What `rebuild --check` finds in the partition."""
    return check_partition(inn.desk, PARTITION)


def differing(inn: Inn) -> list[str]:
    """Its differences, a line each."""
    found = hold(inn).differences
    return [f"{one.instance} {one.what}: {one.live} → {one.rebuilt}" for one in found]


def trim_some(inn: Inn, count: int) -> int:
    """Drop the partition's oldest entries, `count` at most, as far as they may go."""
    oldest = inn.desk.store.command("XRANGE", KEYS.log, "-", "+", "COUNT", count + 1)
    # What is younger than the last of them stays.
    before = int(oldest[-1][0].decode().partition("-")[0]) if oldest else 0
    return trim(inn.desk, PARTITION, before_millis=before, most_bytes=1 << 40)


def trim_all(inn: Inn) -> None:
    """Drop all that is folded, whatever is pinned."""
    inn.desk.store.command("DEL", KEYS.pins)
    while trim(inn.desk, PARTITION, before_millis=1 << 50, most_bytes=0):
        continue


def bases(inn: Inn) -> dict[str, Any]:
    """The status in each base of the partition."""
    found = inn.desk.bases.all(PARTITION)
    return {n: b.unchecked or (b.instance and b.instance.status) for n, b in found}


def settle() -> None:
    """Let the millisecond pass in which something came."""
    time.sleep(0.003)
