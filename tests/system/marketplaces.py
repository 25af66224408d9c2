"""The marketplaces: what Xurrent signs and posts, in both its vocabularies, and what Rebilly posts.

Keys are made for this run and signed with PyJWT.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
REBILLY_PASSWORD = "a-password-that-nobody-else-has"
BASIC = {
    "authorization": "Basic " + base64.b64encode(f"rebilly:{REBILLY_PASSWORD}".encode()).decode()
}


@cache
def rsa_key(owner: str) -> rsa.RSAPrivateKey:
    """The key of one who signs RS256."""
    return rsa.generate_private_key(65537, 2048)


@cache
def curve_key(owner: str) -> ec.EllipticCurvePrivateKey:
    """The key of one who signs ES256."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: PrivateKey) -> str:
    """The public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account on Xurrent with its webhook policy."""

    name: str
    domain: str
    algorithm: str = "RS256"
    key: PrivateKey
    audience: str | None = None

    def signed(self, event: str, payload: Any, **stated: Any) -> bytes:
        """A webhook's body. `stated`: what stands in `data` besides."""
        data = {
            "webhook_id": 7,
            "account_id": self.name,
            "account": f"https://{self.name}.{self.domain}",
            "name": event,
            "event": event,
            "object_id": 1,
            "payload": payload,
            **stated,
        }
        now = int(time.time())
        claims = {
            "data": data,
            "jti": uuid.uuid4().hex,
            "sub": "7",
            "iss": f"https://{self.name}.{self.domain}",
            "iat": now,
            "nbf": now,
        }
        if self.audience is not None:
            claims["aud"] = self.audience
        token = jwt.encode(claims, self.key, self.algorithm)
        return json.dumps({"jwt": token}).encode()

    @property
    def policy(self) -> dict[str, str]:
        """The policy as a secrets-update hands it out."""
        return {"algorithm": self.algorithm.lower(), "public_key": public_pem(self.key)}


@dataclass(frozen=True, kw_only=True)
class Offering:
    """A vendor's app on Xurrent: makes the webhooks about its instances."""

    provider: Account
    reference: str
    old_vocabulary: bool = False
    secrets: dict[str, Any] = field(default_factory=dict)

    def create(self, customer: str, audit: int, **flags: Any) -> bytes:
        """A customer has installed it."""
        return self.about(customer, "create", audit, _flags(flags))

    def update(self, customer: str, audit: int, **flags: Any) -> bytes:
        """Flags have changed."""
        return self.about(customer, "update", audit, _flags(flags))

    def secrets_update(self, customer: str, audit: int, **blocks: Any) -> bytes:
        """The customer's secrets, which come once."""
        return self.about(customer, "secrets-update", audit, blocks)

    def about(self, customer: str, what: str, audit: int, more: dict[str, Any]) -> bytes:
        """A webhook about an instance."""
        return self.provider.signed(self.event(what), self.payload(customer, audit, more))

    def event(self, what: str) -> str:
        """The event's name."""
        return f"{'integration' if self.old_vocabulary else 'app'}_instance.{what}"

    def payload(self, customer: str, audit: int, more: dict[str, Any]) -> dict[str, Any]:
        """What an event about an instance holds."""
        offering = "integration" if self.old_vocabulary else "app_offering"
        return {
            "audit_line_id": audit,
            offering: {"reference": self.reference, "id": 1},
            "customer_account_id": customer,
            **more,
        }


def app_event(customer: Account, what: str = "note added") -> bytes:
    """What a customer's own automation rule posts."""
    return customer.signed("automation_rule", {"what": what}, object_id=812)


def rebilly(
    reference: str, organization: str, event: str, updated: str | None = None, **settings: str
) -> bytes:
    """What Rebilly posts; an *enabled* says when the instance last changed."""
    embedded: dict[str, Any] = {"application": {"id": reference, "name": "Ledger"}}
    if updated is not None:
        embedded["applicationInstance"] = {
            "status": "enabling",
            "settings": settings,
            "createdTime": "2026-01-01T00:00:00Z",
            "updatedTime": updated,
            "organizationId": organization,
        }
    return json.dumps(
        {
            "organizationId": organization,
            "applicationId": reference,
            "eventType": f"application-instance-{event}",
            "_embedded": embedded,
        }
    ).encode()


def xurrent_app(provider: Account, reference: str) -> str:
    """The part of a configuration that serves an offering of `provider`."""
    audience = f'audience = "{provider.audience}"\n' if provider.audience else ""
    return (
        f'[[apps]]\nplatform = "xurrent"\nreference = "{reference}"\n'
        f'account = "{provider.name}"\ndomain = "{provider.domain}"\n'
        f'[apps.policy]\nalgorithm = "{provider.algorithm.lower()}"\n{audience}'
        f'key = """{public_pem(provider.key)}"""\n'
    )


def rebilly_app(name: str, reference: str) -> str:
    """The part of a configuration that serves an application on Rebilly; see REBILLY_PASSWORD."""
    return (
        f'[[apps]]\nplatform = "rebilly"\nname = "{name}"\nreference = "{reference}"\n'
        '[apps.credentials]\ntype = "basic"\nusername = "rebilly"\npassword_env = "HOOK_PASSWORD"\n'
    )


def _flags(stated: dict[str, Any]) -> dict[str, Any]:
    return {"disabled": False, "suspended": False, "enabled_by_customer": True, **stated}
