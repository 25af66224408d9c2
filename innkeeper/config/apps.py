"""The configured apps: what is known of each, per marketplace, and with which credentials.

Read from `[[apps]]`, passed down to whoever verifies, reads back or routes. All times in seconds.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from innkeeper.config.redaction import Redacted
from innkeeper.lifecycle.events import SigningPolicy


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's keys are found at the issuer. None is not checked, or the default issuer."""

    algorithm: str | None = None
    audience: str | None = None
    issuer: str | None = None


class Removals(msgspec.Struct, frozen=True, kw_only=True):
    """When instances that a full pass no longer finds are too many to be believed at once.

    A pass in which more than `share` of the instances and at least `at_least` are gone is held
    for `hold` seconds, until another agrees.
    """

    share: float = 0.1
    at_least: int = 5
    hold: float = 3600.0


class XurrentApi(Redacted, frozen=True, kw_only=True):
    """How to call Xurrent: with a `token`, or with `client_id` and `client_secret`."""

    hidden: ClassVar[frozenset[str]] = frozenset({"client_secret", "token"})

    base_url: str
    oauth_url: str
    client_id: str | None = None
    client_secret: str | None = None
    token: str | None = None


class RebillyApi(Redacted, frozen=True, kw_only=True):
    """How to call Rebilly as the app's owner."""

    hidden: ClassVar[frozenset[str]] = frozenset({"api_key"})

    base_url: str
    api_key: str


class XandrApi(Redacted, frozen=True, kw_only=True):
    """How to call Xandr."""

    hidden: ClassVar[frozenset[str]] = frozenset({"username", "password"})

    base_url: str
    username: str
    password: str


class Basic(Redacted, frozen=True, kw_only=True):
    """Deliveries carry this user name and password."""

    hidden: ClassVar[frozenset[str]] = frozenset({"password"})

    username: str
    password: str


class Header(Redacted, frozen=True, kw_only=True):
    """Deliveries carry this header with this value."""

    hidden: ClassVar[frozenset[str]] = frozenset({"value"})

    name: str
    value: str


class NoCredential(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries prove nothing: only what is read back counts."""


class XurrentApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app offering of a provider (account and domain).

    `policy` is the provider's and never None once the configuration is read without a fault.
    `claim_expires_in`: None where tokens need no `exp`. `reconcile`: None without an `api`.
    """

    platform: Literal["xurrent"] = "xurrent"
    name: str
    reference: str
    account: str
    domain: str
    allow_ips: tuple[str, ...] = ()
    policy: SigningPolicy | Discovery | None = None
    claim_expires_in: float | None = None
    previous_key_grace: float = 86400.0
    api: XurrentApi | None = None
    reconcile: float | None = None
    removals: Removals = Removals()


class RebillyApp(msgspec.Struct, frozen=True, kw_only=True):
    """An application; `reference` is its applicationId. `reconcile`: None without an `api`."""

    platform: Literal["rebilly"] = "rebilly"
    name: str
    reference: str
    credential: Basic | Header | NoCredential
    allow_ips: tuple[str, ...] = ()
    api: RebillyApi | None = None
    reconcile: float | None = None
    removals: Removals = Removals()


class XandrApp(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin; `reference` is its plugin_id. It sends nothing and is polled."""

    platform: Literal["xandr"] = "xandr"
    name: str
    reference: str
    poll: float = 300.0
    api: XandrApi | None = None
    removals: Removals = Removals()


App = XurrentApp | RebillyApp | XandrApp
PLATFORMS = ("xurrent", "rebilly", "xandr")
