"""Customers' signing policies as receivers see them: learned by apply, in force within a second."""

from __future__ import annotations

import msgspec

from innkeeper.lifecycle.events import InstanceKey, SigningPolicy
from innkeeper.store.connection import Command
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from innkeeper.store.register import PolicyFile

_files = msgspec.json.Decoder(PolicyFile)


def policy_command(instance: InstanceKey) -> Command:
    """The call that looks up what an instance's customer signs with."""
    return ("GET", keys_of(partition_of(instance)).policy + str(instance))


def read_policies(
    answer: bytes | None, *, now: float, grace_seconds: float
) -> tuple[SigningPolicy, ...]:
    """The policies in force: the current one, and the one before it within its grace period."""
    if answer is None:
        return ()
    slot = _files.decode(answer).slot
    policies = [slot.current.policy]
    replaced_at = slot.replaced_at
    if slot.previous and replaced_at and now < replaced_at.timestamp() + grace_seconds:
        policies.append(slot.previous.policy)
    return tuple(policies)
