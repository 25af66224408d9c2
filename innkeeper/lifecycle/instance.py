"""The instance: what is known of a customer's copy of an app, fact by fact, and its status.

Facts are kept with the order key under which they were stated; the status is derived from them
and never stored by anybody but the machine.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET

from innkeeper.lifecycle.events import DeliveryId, Flags, InstanceKey, Phase, SigningPolicy
from innkeeper.lifecycle.order import Order, OrderKey, below, better, compare


class Status(StrEnum):
    """Where an instance stands. The register's word; derived, the first that holds."""

    REMOVED = "removed"
    DISABLED = "disabled"
    SUSPENDED = "suspended"
    PENDING = "pending"
    ENABLING = "enabling"
    DISABLING = "disabling"
    ENABLED = "enabled"


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which delivery last set a fact, and when that came in."""

    delivery: DeliveryId
    at: datetime


class Existence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the instance is there, and as which of the marketplace's objects.

    `present`: None while nothing but secrets is known. `floor`: the key of the newest removal,
    which no older statement gets past. `by_read`: it rests on a read without a key. `adopted`: it
    was there before us.
    """

    present: bool | None = None
    object_id: str | None = None
    order: OrderKey | None = None
    floor: OrderKey | None = None
    by_read: bool = False
    adopted: bool = False
    source: Source | None = None


class Consent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That the customer's yes was seen, and the newest key under which it was.

    `object_id`: of the installation that it was said of, where that is not yet the known one.
    """

    order: OrderKey | None = None
    object_id: str | None = None


class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one secret but its value, which only the store keeps, encrypted.

    `digest`: keyed, tells equal values from unequal ones.
    """

    digest: str
    order: OrderKey | None = None
    source: Source


class HeldPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A signing policy that a secrets-update brought."""

    policy: SigningPolicy
    order: OrderKey | None = None
    source: Source

    @property
    def digest(self) -> str:
        """What tells this policy from another."""
        said = self.policy
        return f"{said.fingerprint} {said.algorithm} {said.audience} {said.issuer}"


Held = TypeVar("Held", Secret, HeldPolicy)


class Slot(msgspec.Struct, Generic[Held], frozen=True, kw_only=True, omit_defaults=True):
    """A named thing that is replaced and never dropped: the current one and the one before.

    `replaced_at`: since when `previous` is the previous one; its grace period starts there.
    """

    current: Held
    previous: Held | None = None
    replaced_at: datetime | None = None


class Instance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the register. Holds no secret's value.

    `version` counts changes of facts and of the keys under which they are known, `transitions`
    those of status, and numbers them. `consent_told`: a yes in a statement that waits, which counts
    once nothing is doubted any more. `stated`: what the marketplace last said under each of its own
    names. `revoked`: fingerprints of keys that an operator took out of force. `confirmed`: nothing
    in force rests on a doubt. `confirm_wanted`, `confirm_settled`: wishes to read the instance
    back, raised and settled. `entry`: the stream id of the last folded entry.
    """

    platform: str
    app: str
    account: str
    offering: str | None = None
    node_id: str | None = None
    customer_name: str | None = None
    existence: Existence = Existence()
    flags: Flags = Flags()
    flags_order: OrderKey | None = None
    flags_by_read: bool = False
    flags_source: Source | None = None
    consent: Consent | None = None
    consent_told: Consent | None = None
    stated: dict[str, Any] = {}
    secrets: dict[str, Slot[Secret]] = {}
    policy: Slot[HeldPolicy] | None = None
    revoked: tuple[str, ...] = ()
    status: Status = Status.PENDING
    confirmed: bool = True
    confirm_wanted: int = 0
    confirm_settled: int = 0
    version: int = 0
    transitions: int = 0
    entry: str = ""

    @property
    def key(self) -> InstanceKey:
        """Its name in the register."""
        return InstanceKey(self.platform, self.app, self.account)

    def in_force(self, held: Secret | HeldPolicy) -> bool:
        """Whether `held` belongs to the present installation, not to one removed since."""
        return not below(held.order, self.existence.floor)

    @property
    def has_secrets(self) -> bool:
        """Whether any secret is in force."""
        return any(self.in_force(slot.current) for slot in self.secrets.values())


def status_of(instance: Instance) -> Status:
    """The status that follows from the facts: the first that holds."""
    flags, existence = instance.flags, instance.existence
    consent = flags.enabled_by_customer
    if existence.present is False:
        return Status.REMOVED
    if flags.disabled is True or (consent is False and instance.consent is not None):
        return Status.DISABLED
    if flags.suspended is True:
        return Status.SUSPENDED
    if existence.present is None or consent is UNSET or consent is False:
        return Status.PENDING
    if flags.phase is Phase.ENABLING:
        return Status.ENABLING
    if flags.phase is Phase.DISABLING:
        return Status.DISABLING
    return Status.ENABLED


def hold(slot: Slot[Held] | None, stated: Held) -> Slot[Held]:
    """`stated` merged into `slot`: the newest is the current one, the one before it is kept.

    In whichever order two or more statements with comparable keys arrive, the same two remain.
    Where the order cannot be told, the later arrival is the current one and nothing is dropped.
    """
    if slot is None:
        return Slot(current=stated)
    current, previous = slot.current, slot.previous
    if stated.digest == current.digest:
        if compare(stated.order, current.order) is Order.OLDER:
            return slot
        kept = msgspec.structs.replace(
            stated, order=better(stated.order, current.order), source=current.source
        )
        return msgspec.structs.replace(slot, current=kept)
    if _ranked(stated, current) is Order.OLDER:
        if previous is not None and _ranked(stated, previous) is not Order.NEWER:
            return slot
        return Slot(current=current, previous=stated, replaced_at=stated.source.at)
    kept = msgspec.structs.replace(stated, order=better(stated.order, current.order))
    return Slot(current=kept, previous=current, replaced_at=stated.source.at)


def _ranked(stated: Held, known: Held) -> Order:
    """How one statement stands to another of another value.

    Two values under one key: no marketplace says which is the later. Any rule will do that does
    not depend on the order of arrival.
    """
    order = compare(stated.order, known.order)
    if order is Order.SAME:
        return Order.NEWER if stated.digest > known.digest else Order.OLDER
    return order
