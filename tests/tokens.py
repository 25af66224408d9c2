"""Signs tokens as marketplaces do, and as they should not: any header, any bytes for claims.

Written on cryptography alone, so that it shares no code with what it tests.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.keys import PrivateKey

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}


def encode(data: bytes) -> str:
    """Bytes as a segment: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    """A segment's bytes."""
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def sign(
    claims: dict[str, Any] | bytes,
    algorithm: str,
    key: PrivateKey,
    header: dict[str, Any] | bytes | None = None,
) -> str:
    """A compact JWS. `header`: what stands in it besides, or instead of, `typ` and `alg`.

    Bytes are taken as they are.
    """
    if not isinstance(header, bytes):
        header = json.dumps({"typ": "JWT", "alg": algorithm} | (header or {})).encode()
    if not isinstance(claims, bytes):
        claims = json.dumps(claims).encode()
    signed = f"{encode(header)}.{encode(claims)}"
    return f"{signed}.{encode(signature(signed.encode(), algorithm, key))}"


def signature(signed: bytes, algorithm: str, key: PrivateKey) -> bytes:
    """A raw signature: PKCS#1 v1.5, or r and s side by side."""
    hashing = _HASHES[algorithm[-3:]]
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(signed, padding.PKCS1v15(), hashing)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashing)))
    return _raw(r, s, (key.key_size + 7) // 8)


def mirrored(token: str) -> str:
    """The same ES256 token with the other `s` that is just as valid, which needs no key."""
    head, claims, signed = token.split(".")
    raw = decode(signed)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return f"{head}.{claims}.{encode(_raw(r, _ORDERS['secp256r1'] - s, 32))}"


def _raw(r: int, s: int, size: int) -> bytes:
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
