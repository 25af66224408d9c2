"""Keys of this test run: made when first asked for, one of each kind and owner, kept nowhere."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms.jws import signing_policy

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}


def key_for(algorithm: str, owner: str = "provider") -> PrivateKey:
    """The private key with which `owner` signs; one RSA key serves RS256, RS384 and RS512."""
    if algorithm in _CURVES:
        return _elliptic(_CURVES[algorithm], owner)
    return rsa_key(2048, owner)


@cache
def rsa_key(bits: int, owner: str = "provider") -> rsa.RSAPrivateKey:
    """An RSA key of any size."""
    return rsa.generate_private_key(65537, bits)


@cache
def _elliptic(curve: type[ec.EllipticCurve], owner: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def public_pem(key: PrivateKey) -> str:
    """The public half, as the marketplaces hand it out."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    """The private half, as 4me once handed it out."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def policy_for(
    algorithm: str,
    owner: str = "provider",
    *,
    audience: str | None = None,
    issuer: str | None = None,
) -> SigningPolicy:
    """The signing policy that goes with `key_for`."""
    pem = public_pem(key_for(algorithm, owner))
    return signing_policy(algorithm, pem, audience=audience, issuer=issuer)
