"""Signed tokens: which keys are good enough, whether a token is signed, and what it must claim.

Called by the platforms' `inbound` functions. The algorithm, the key and the audience come from our
signing policy, never from the token; PyJWT and cryptography do the arithmetic. Knows no
marketplace.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import Algorithm

from innkeeper.lifecycle.errors import Reason, Rejected
from innkeeper.lifecycle.events import SigningPolicy

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
SLOW_ALGORITHMS = frozenset({"ES384", "ES512"})
"""A verification takes about 0.35 ms: the receiver does these in a thread."""
LEEWAY_SECONDS = 60
MAX_TOKEN_CHARACTERS = 1 << 20
MAX_DEPTH = 200
"""How deep JSON may nest: far less than any coder takes, so that what was read can be stored."""

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
_MIN_RSA_BITS = 2048
# Of headers that come before any proof, only small ones are remembered: memory stays bounded.
_REMEMBERED_CHARACTERS = 1024
_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# How a segment may end, by its length modulo 4: whatever bits the last quantum leaves over are
# zero, so that one sequence of bytes has one text.
_LAST_CHARACTERS = {0: _BASE64URL, 1: b"", 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a token's header says that we look at; `alg` is only ever compared."""

    alg: str
    kid: str | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A compact JWS taken apart; nothing in it is to be believed before `verify`."""

    header: Header
    signing_input: bytes
    payload: bytes
    signature: bytes


def signing_policy(
    algorithm: str, key_pem: str, *, audience: str | None = None, issuer: str | None = None
) -> SigningPolicy:
    """Check a key and bind it to its algorithm.

    `key_pem`: a public key, or the EC private key that 4me once handed out in its place, of which
    only the public half is kept. Raises ValueError for an algorithm, key, size or curve that is
    not good enough.
    """
    name = algorithm.upper()
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}")
    key = _public_key(key_pem)
    if name.startswith("RS"):
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError(f"{name} needs an RSA key")
        if key.key_size < _MIN_RSA_BITS:
            raise ValueError(f"the RSA key has {key.key_size} bits, {_MIN_RSA_BITS} are the least")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError(f"{name} needs an elliptic-curve key")
    elif not isinstance(key.curve, _CURVES[name]):
        raise ValueError(f"{name} needs the curve {_CURVES[name].name}, not {key.curve.name}")
    encoding, form = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    der = key.public_bytes(encoding.DER, form)
    return SigningPolicy(
        algorithm=name,
        public_key=key.public_bytes(encoding.PEM, form).decode(),
        fingerprint=hashlib.sha256(der).hexdigest()[:32],
        audience=audience or None,
        issuer=issuer or None,
    )


def parse(text: str) -> Token:
    """Take a compact JWS apart. Raises Rejected (BAD_TOKEN); its cost is bounded by its size."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise Rejected(Reason.BAD_TOKEN, "the token is too long")
    try:
        segments = text.encode("ascii").split(b".", 3)
    except UnicodeEncodeError:
        raise Rejected(Reason.BAD_TOKEN, "not ASCII") from None
    if len(segments) != 3:
        raise Rejected(Reason.BAD_TOKEN, "not three segments")
    head, body, signature = segments
    return Token(
        header=_header(head) if len(head) <= _REMEMBERED_CHARACTERS else _read_header(head),
        signing_input=head + b"." + body,
        payload=_decode(body),
        signature=_decode(signature),
    )


def verify(token: Token, policies: Iterable[SigningPolicy]) -> SigningPolicy:
    """The policy with which `token` is signed; the first of `policies` that fits.

    Raises Rejected: WRONG_ALGORITHM where no policy has the header's algorithm, else BAD_SIGNATURE.
    """
    fitting = [policy for policy in policies if policy.algorithm == token.header.alg]
    if not fitting:
        stated = f"{token.header.alg!r:.80}"
        raise Rejected(Reason.WRONG_ALGORITHM, f"alg {stated} is not the policy's")
    for policy in fitting:
        algorithm, key = _prepared(policy.algorithm, policy.public_key)
        if algorithm.verify(token.signing_input, key, token.signature):
            return policy
    raise Rejected(Reason.BAD_SIGNATURE, "not signed with the policy's key")


def claims_of(token: Token) -> dict[str, Any]:
    """The claims of a verified token. Raises Rejected (BAD_CLAIMS) unless they are an object."""
    try:
        claims = strict_json(token.payload)
    except ValueError as error:
        raise Rejected(Reason.BAD_CLAIMS, f"claims: {error}") from None
    if not isinstance(claims, dict):
        raise Rejected(Reason.BAD_CLAIMS, "claims are no object")
    return claims


def check_claims(
    claims: dict[str, Any],
    *,
    audience: str | None,
    now: float,
    expires_in_seconds: float | None = None,
) -> None:
    """Check audience and times; `now` in seconds since the epoch. Raises Rejected.

    An `exp` that is there must hold. Where the policy says that tokens expire, `exp` and `iat` are
    required and no further apart than it says.
    """
    issued, expires = moment(claims, "iat"), moment(claims, "exp")
    for name, value in (("iat", issued), ("nbf", moment(claims, "nbf"))):
        if value is not None and value > now + LEEWAY_SECONDS:
            said = f"{name} lies {value - now:.0f} s ahead"
            raise Rejected(Reason.NOT_YET_VALID, said, issued_at=issued)
    if expires is not None and expires <= now - LEEWAY_SECONDS:
        said = f"expired {now - expires:.0f} s ago"
        raise Rejected(Reason.EXPIRED, said, issued_at=issued)
    if expires_in_seconds is not None:
        if expires is None or issued is None:
            raise Rejected(Reason.BAD_CLAIMS, "the policy requires exp and iat")
        if expires - issued > expires_in_seconds:
            raise Rejected(Reason.BAD_CLAIMS, "exp lies further from iat than the policy says")
    if audience is not None and claims.get("aud") not in (audience, [audience]):
        raise Rejected(Reason.WRONG_AUDIENCE, f"aud is {claims.get('aud')!r:.200}")


def moment(claims: dict[str, Any], name: str) -> float | None:
    """A claim that is a time, in seconds since the epoch. Raises Rejected for any other type."""
    if name not in claims:
        return None
    value: Any = claims[name]
    if type(value) not in (int, float) or not 0 <= value < 1e12:
        raise Rejected(Reason.BAD_CLAIMS, f"{name} is no time")
    return float(value)


def strict_json(data: bytes) -> Any:
    """Decode JSON. Raises ValueError, for bad UTF-8, repeated names, NaN and deep nesting too."""
    try:
        document = _json.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(document):
        raise ValueError("nested too deeply")
    return document


def _is_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        inner = (each for outer in level for each in _inside(outer))
        level = [each for each in inner if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _inside(outer: Any) -> Iterable[Any]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name is repeated")
    return names


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_json = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _read_header(segment: bytes) -> Header:
    try:
        header = strict_json(_decode(segment))
    except ValueError as error:
        raise Rejected(Reason.BAD_TOKEN, f"header: {error}") from None
    if not isinstance(header, dict) or "crit" in header or "b64" in header:
        raise Rejected(Reason.BAD_TOKEN, "header is no object, or has critical extensions")
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or not isinstance(kid, str | None):
        raise Rejected(Reason.BAD_TOKEN, "header: alg or kid is no text")
    return Header(alg=alg, kid=kid)


_header = lru_cache(maxsize=1024)(_read_header)


def _decode(segment: bytes) -> bytes:
    over = len(segment) % 4
    if segment.translate(None, _BASE64URL) or segment[-1:] not in _LAST_CHARACTERS[over]:
        raise Rejected(Reason.BAD_TOKEN, "a segment is not canonical base64url")
    return binascii.a2b_base64(segment.translate(_TO_BASE64) + b"=" * (-over % 4))


@lru_cache(maxsize=4096)
def _prepared(algorithm_name: str, public_key: str) -> tuple[Algorithm, Any]:
    algorithm = jwt.get_algorithm_by_name(algorithm_name)
    return algorithm, algorithm.prepare_key(public_key)


def _public_key(pem: str) -> Any:
    data = pem.strip().encode()
    try:
        if b"PRIVATE KEY" in data:
            private = serialization.load_pem_private_key(data, password=None)
            if not isinstance(private, ec.EllipticCurvePrivateKey):
                raise ValueError("a private key stands where a public one belongs")
            return private.public_key()
        return serialization.load_pem_public_key(data)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the key cannot be read: {error}") from None
    except ValueError as error:
        reason = "a private key" if "private key" in str(error) else "no PEM public key"
        raise ValueError(f"the key cannot be read: {reason}") from None
