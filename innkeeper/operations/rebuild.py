"""Folds base records and log into a scratch register, and names each difference to the live one.

Asked by operators. Writes nothing. Correct beside live traffic and beside trimming; holds one
partition's instances in memory at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.comparing import Difference
from innkeeper.operations.desk import Desk
from innkeeper.operations.scratch import Scratch
from innkeeper.store.partitions import PARTITIONS, partition_of

_LOOKS = 20
_PAUSE_SECONDS = 0.1


class Unchecked(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that cannot be held against the log, and why."""

    instance: str
    reason: str


class Found(NamedTuple):
    """What came of a partition: how many instances and entries were held against each other."""

    partition: int
    instances: int
    entries: int
    differences: list[Difference]
    unchecked: list[Unchecked]


def check(desk: Desk, key: InstanceKey | None = None) -> Iterator[Found]:
    """Hold the register against the log, partition by partition, or one instance alone.

    Raises StoreError, StoreUnavailable.
    """
    if key is not None:
        yield check_partition(desk, partition_of(key), {str(key)})
        return
    for partition in PARTITIONS:
        yield check_partition(desk, partition)


def check_partition(desk: Desk, partition: int, names: set[str] | None = None) -> Found:
    """Hold a partition's instances against its log, or some of them.

    What differs is looked at again: who comes, or is forgotten, during the first look seems to
    differ, and so may whose entries are dropped while the log is read. The last look is one during
    which nothing of the kind happened, unless it never comes to rest.
    """
    first = scratch = Scratch(desk, partition, names)
    differences = scratch.differences
    for _ in range(_LOOKS):
        if not differences:
            break
        time.sleep(_PAUSE_SECONDS)
        scratch = Scratch(desk, partition, {one.instance for one in differences})
        differences = scratch.differences
        if not scratch.disturbed:
            break
    unchecked = [Unchecked(instance=n, reason=r) for n, r in sorted(first.unchecked.items())]
    return Found(partition, first.instances, first.entries, differences, unchecked)
