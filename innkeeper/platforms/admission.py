"""What every platform's `inbound` module takes and gives: the shapes, and no rule.

An `inbound` module is functions of headers, bytes and keys: `open_request` takes the outer form
apart and says whose keys are wanted; `admit` verifies, checks that this signer may say this, and
normalises, in this order. The receiver and `rejected retry` call them.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from innkeeper.lifecycle.events import Event, InstanceKey, Mark

CLAIM_LIFETIME_SECONDS = 14 * 86400
"""How long a claim lives at least; what is issued earlier is stopped by order keys alone."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What came over the wire: header names in lower case, the query undecoded, exact bytes."""

    platform: str
    app: str | None
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header; None where it is missing or given more than once."""
        values = [value for key, value in self.headers if key == name]
        return values[0] if len(values) == 1 else None


class Wanted(NamedTuple):
    """Whose keys a request needs: the provider's, or those of a customer's `account`.

    `issuer`, `kid`: as the unverified token says, where the provider's keys are discovered.
    """

    account: str | None = None
    issuer: str | None = None
    kid: str | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose outer form holds. `content`: what the platform's `admit` goes on with.

    `app`: the configured app that the path names; None where it names none. `wanted`: None on a
    platform that does not sign.
    """

    request: Request
    app: Any
    wanted: Wanted | None
    content: Any


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A proven delivery, ready to be appended.

    `instance`: to whom it belongs. `claims`: what makes another delivery the same one; 12 bytes
    each. `issued_at`, `expires_at`: the token's `iat` and `exp`, seconds since the epoch. `signer`:
    the fingerprint of the key, or the kind of credential, that proved it.
    """

    instance: InstanceKey
    event: Event
    mark: Mark | None = None
    claims: tuple[bytes, ...] = ()
    issued_at: float | None = None
    expires_at: float | None = None
    signer: str


class NotUnderstood(Exception):
    """Authentic, but its content cannot be understood: to be kept and dead-lettered."""


def canonical_json(document: Any) -> bytes:
    """The one text of a JSON document: names in order, no spaces.

    Raises NotUnderstood for what no UTF-8 can hold: lone surrogates, which JSON may escape.
    """
    try:
        return _encode(document)
    except UnicodeEncodeError:
        raise NotUnderstood("it holds lone surrogates") from None


def claim(app: InstanceKey, issuer: str, kind: str, value: str) -> bytes:
    """The claim on `value`, in the scope of an app and a verified issuer."""
    scoped = f"{app.platform}/{app.app}\n{issuer}\n{kind}\n{value}"
    return hashlib.sha256(scoped.encode("utf-8", "backslashreplace")).digest()[:12]
