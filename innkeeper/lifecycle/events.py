"""What a delivery says once it is proven: one normalised event, in one vocabulary.

Made by a platform's `inbound` functions, carried (encrypted) by an entry of the log, folded by
the machine. An event states facts; which of them it carries is what matters, not its type.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NewType

import msgspec
from msgspec import UNSET, UnsetType

from innkeeper.lifecycle.order import OrderKey

DeliveryId = NewType("DeliveryId", str)
"""`<partition>-<uuid7>`; given by the receiver before a delivery is stored anywhere."""


class InstanceKey(msgspec.Struct, frozen=True, order=True):
    """A customer's copy of an app; written `platform/app/account`.

    `app` is the configured name. The account `-` is the pseudo-instance of what has none.
    """

    platform: str
    app: str
    account: str

    def __str__(self) -> str:
        return f"{self.platform}/{self.app}/{self.account}"

    @classmethod
    def parse(cls, text: str) -> InstanceKey:
        """Read `platform/app/account`; the account may itself hold slashes.

        Raises ValueError when a part is missing.
        """
        platform, app, account = text.split("/", 2)
        if not (platform and app and account):
            raise ValueError(f"not of the form platform/app/account: {text!r}")
        return cls(platform, app, account)

    @classmethod
    def pseudo(cls, platform: str, app: str) -> InstanceKey:
        """The pseudo-instance to which belongs what has no instance."""
        return cls(platform, app, "-")

    @property
    def is_pseudo(self) -> bool:
        """Whether this stands for an app's deliveries that concern no instance."""
        return self.account == "-"


class EventKind(StrEnum):
    """What sort of thing an event says."""

    STATED = "stated"
    """The instance exists, with these flags."""
    REMOVED = "removed"
    """The instance is gone."""
    SECRETS = "secrets"
    """Secrets or a signing policy of the instance, and nothing else."""
    APP_EVENT = "app_event"
    """Something happened in the customer's account that the app asked to hear of."""
    HANDSHAKE = "handshake"
    """The marketplace asks for proof that we listen."""
    REVOKED = "revoked"
    """An operator takes a learned signing policy out of force."""
    DESTROYED = "destroyed"
    """The secrets of an instance that was removed long ago are destroyed."""
    FORGOTTEN = "forgotten"
    """An operator has all that is known of the instance erased."""
    SET_OFF = "set_off"
    """An operator has one follow-up (`payload`) set off for an instance that is there already."""
    WISHED = "wished"
    """Somebody has reason to have the instance read back. States nothing of it."""
    OTHER = "other"
    """An event type that nothing handles."""


class Mark(StrEnum):
    """Why an entry is kept but never applied."""

    TEST = "test"
    UNROUTED = "unrouted"
    IGNORED = "ignored"
    """An event type that nothing handles."""
    LATE = "late"
    """An app event older than the claims' lifetime: nothing tells whether it is a repetition."""
    SECRETS_READ = "secrets_read"
    """No delivery: the record that somebody was given the instance's secrets."""
    UNDECODABLE = "undecodable"
    """Authentic, but its content cannot be understood: becomes a dead letter."""


class Phase(StrEnum):
    """A change under way, as far as the marketplace tells of such."""

    ENABLING = "enabling"
    DISABLING = "disabling"


Flag = bool | None | UnsetType
"""True or False as stated; None: this marketplace has no such flag; UNSET: not known (yet)."""


class Flags(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The flags of an instance: one fact, with one order key."""

    disabled: Flag = UNSET
    suspended: Flag = UNSET
    enabled_by_customer: Flag = UNSET
    phase: Phase | UnsetType | None = UNSET

    def over(self, known: Flags) -> Flags:
        """These flags, and the known ones where nothing is said."""
        return Flags(
            disabled=known.disabled if self.disabled is UNSET else self.disabled,
            suspended=known.suspended if self.suspended is UNSET else self.suspended,
            enabled_by_customer=(
                known.enabled_by_customer
                if self.enabled_by_customer is UNSET
                else self.enabled_by_customer
            ),
            phase=known.phase if self.phase is UNSET else self.phase,
        )


class SigningPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With which key somebody signs, and what such a token must say. Holds no secret.

    `algorithm`: upper case, one of RS/ES 256, 384, 512. `public_key`: SubjectPublicKeyInfo as PEM.
    `fingerprint`: the first 32 hex digits of the SHA-256 of the key's DER form. `audience`: None is
    not checked. `issuer`: None stands for the forms that the platform derives from the account.
    """

    algorithm: str
    public_key: str
    fingerprint: str
    audience: str | None = None
    issuer: str | None = None


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """That an event was read back from the marketplace, and what was known before the request.

    `at_version`: the instance's version, 0 where it was not known. `settles`: how many wishes to
    confirm had been raised.
    """

    at_version: int
    settles: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A normalised event.

    `type`: the marketplace's word for it, in its present vocabulary. `order`: None where nothing
    tells the order. `hint`: authentic-looking only, to be confirmed by reading back where that is
    possible. `creates`: False where a hint's own word must not bring an instance into being.
    `confirmable`: an API is configured, so that a doubt waits for a read. `adopts`: an instance
    that is not known yet was there before us. `read`: it is what a read found.
    `object_id`: the marketplace's own id of the installation. `stated`: what the marketplace said
    under its own names, less secrets. `secrets`: values by name (`application.client_secret`), in
    clear; an event is therefore only ever stored encrypted and never logged. `policy`: the key with
    which the customer signs from now on. `fingerprint`: of the policy that is revoked. `callback`:
    where a handshake is answered, and `callback_host` the only host where that may lie. `notes`:
    what was found wrong with a part of it, for operators.
    """

    type: str
    kind: EventKind
    order: OrderKey | None = None
    hint: bool = False
    creates: bool = True
    confirmable: bool = False
    adopts: bool = False
    read: Read | None = None
    object_id: str | None = None
    node_id: str | None = None
    offering: str | None = None
    customer_name: str | None = None
    flags: Flags | None = None
    stated: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    policy: SigningPolicy | None = None
    fingerprint: str | None = None
    payload: Any = None
    callback: str | None = None
    callback_host: str | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Names and sizes only: an event holds secrets, and representations end up in logs."""
        return f"Event({self.type!r}, order={self.order}, secrets={sorted(self.secrets)})"
