"""Xurrent's signing policies: what a webhook's body is signed with, and how its keys are shown.

Called by whoever sends, and by the pages of discovery. Sends nothing.
"""

from __future__ import annotations

import secrets
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from simulator.keys import PrivateKey, public_pem


class SigningPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook policy. `kid`: set in discovery mode, where the issuer names the policy.

    `algorithm` in lower case. `states_issuer`: a secrets-update has to say the issuer.
    """

    id: int
    name: str
    algorithm: str
    key: PrivateKey
    issuer: str
    audience: str | None = None
    expires_in_seconds: int | None = None
    kid: str | None = None
    states_issuer: bool = False

    @property
    def public_pem(self) -> str:
        """The public half, which the marketplace shows once."""
        return public_pem(self.key)

    def __repr__(self) -> str:
        """Without the key."""
        return f"SigningPolicy({self.id}, {self.name!r}, {self.algorithm!r})"


def sign(policy: SigningPolicy, data: dict[str, Any], webhook_id: int, now: float) -> str:
    """A token around `data`, with an id of its own every time; `now` since the epoch."""
    issued = int(now)
    claims: dict[str, Any] = {
        "data": data,
        "jti": secrets.token_hex(32),
        "sub": str(webhook_id),
        "iss": policy.issuer,
        "nbf": issued,
        "iat": issued,
    }
    if policy.audience is not None:
        claims["aud"] = policy.audience
    if policy.expires_in_seconds is not None:
        claims["exp"] = issued + policy.expires_in_seconds
    # In discovery mode the header has a kid and no typ.
    headers = {"kid": policy.kid, "typ": None} if policy.kid else None
    return jwt.encode(claims, policy.key, algorithm=policy.algorithm.upper(), headers=headers)


def jwk(policy: SigningPolicy) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    public = policy.key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        shown = RSAAlgorithm.to_jwk(public, as_dict=True)
    else:
        shown = ECAlgorithm.to_jwk(public, as_dict=True)
    kept = {name: value for name, value in shown.items() if name != "key_ops"}
    return {**kept, "kid": policy.kid, "use": "sig", "alg": policy.algorithm.upper()}
