"""OpenID discovery: an issuer's address to its public keys, as signing policies.

Called by the receiver's cache of keys and by `check`. Believes a document only as far as its issuer
may speak: https, the issuer's own host, no redirect, bounded. Keeps nothing.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.jws import signing_policy, strict_json

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_KEYS = 100
FETCH_SECONDS = 4.0

_WELL_KNOWN = "/.well-known/openid-configuration"
_URL = re.compile(
    r"https://(?P<host>[\w.-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?(?:/[!-~]*)?", re.A
)
_CURVES: dict[str, tuple[str, type[ec.EllipticCurve]]] = {
    "P-256": ("ES256", ec.SECP256R1),
    "P-384": ("ES384", ec.SECP384R1),
    "P-521": ("ES512", ec.SECP521R1),
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MAX_NUMBER_CHARACTERS = 1366  # of 8192 bits
_MAX_KID_CHARACTERS = 256


class BadDocument(Exception):
    """An issuer's answer that is not what discovery asks for; nothing of it is used."""


def fetch_keys(
    outgoing: Outgoing, issuer: str, *, algorithm: str | None, audience: str | None
) -> dict[str, SigningPolicy]:
    """Ask `issuer` for its keys, with two GETs of at most 4 s each; see `signing_keys`.

    Raises Unreachable, Forbidden, BadDocument.
    """
    host = _host(issuer)
    if "?" in issuer or "#" in issuer:
        raise BadDocument("an issuer has neither query nor fragment")
    document = _get(outgoing, issuer.rstrip("/") + _WELL_KNOWN, host)
    key_set = _get(outgoing, jwks_uri(document, issuer), host)
    return signing_keys(key_set, issuer=issuer, algorithm=algorithm, audience=audience)


def jwks_uri(document: bytes, issuer: str) -> str:
    """Where an OpenID document says that the keys are: https, on the issuer's own host and port.

    Raises BadDocument, also where the document is another issuer's.
    """
    stated = _object(document)
    if stated.get("issuer", issuer) != issuer:
        raise BadDocument(f"the document is of issuer {stated['issuer']!r:.200}")
    uri = stated.get("jwks_uri")
    if not isinstance(uri, str) or _host(uri) != _host(issuer):
        raise BadDocument(f"jwks_uri is not on the issuer's host: {uri!r:.200}")
    return uri


def signing_keys(
    document: bytes, *, issuer: str, algorithm: str | None, audience: str | None
) -> dict[str, SigningPolicy]:
    """The keys of a JWK set that may sign, by `kid`, each bound to one algorithm.

    `algorithm`: that of our policy; None takes the key's own. A key that does not fit, has a kid
    that another one has, or shows a private part, is left out. Raises BadDocument if none is left.
    """
    keys = _object(document).get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise BadDocument(f"not a set of at most {MAX_KEYS} keys")
    named = [(_kid(key), key) for key in keys if isinstance(key, dict)]
    uses = Counter(kid for kid, _ in named)
    policies = {
        kid: policy
        for kid, key in named
        if kid is not None
        and uses[kid] == 1
        and (policy := _policy(key, issuer=issuer, algorithm=algorithm, audience=audience))
    }
    if not policies:
        raise BadDocument("the set has no key that fits")
    return policies


def _get(outgoing: Outgoing, url: str, host: str) -> bytes:
    answer = outgoing.request(
        "GET",
        url,
        headers={"Accept": "application/json"},
        only_host=host,
        public_only=True,
        timeout_seconds=FETCH_SECONDS,
        max_answer_bytes=MAX_DOCUMENT_BYTES,
    )
    if answer.status != 200:
        raise BadDocument(f"{host} answered {answer.status}")
    return answer.body


def _host(url: str) -> str:
    """`host`, or `host:port` where the port is not 443."""
    match = _URL.fullmatch(url)
    if match is None:
        raise BadDocument(f"not a plain https URL: {url!r:.200}")
    host, port = match["host"].lower(), int(match["port"] or 443)
    return host if port == 443 else f"{host}:{port}"


def _object(document: bytes) -> dict[str, Any]:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise BadDocument(f"larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        stated = strict_json(document)
    except ValueError as error:
        raise BadDocument(f"not JSON: {error}") from None
    if not isinstance(stated, dict):
        raise BadDocument("not a JSON object")
    return stated


def _kid(key: dict[str, Any]) -> str | None:
    kid = key.get("kid")
    return kid if isinstance(kid, str) and 0 < len(kid) <= _MAX_KID_CHARACTERS else None


def _policy(
    key: dict[str, Any], *, issuer: str, algorithm: str | None, audience: str | None
) -> SigningPolicy | None:
    if key.get("use") != "sig" or not _PRIVATE_MEMBERS.isdisjoint(key):
        return None
    own = key.get("alg", algorithm.upper() if algorithm else _algorithm_of_curve(key))
    if not isinstance(own, str) or (algorithm is not None and own != algorithm.upper()):
        return None
    try:
        # Whether key, size and curve are good enough for the algorithm is decided there.
        return signing_policy(own, _pem(key), audience=audience, issuer=issuer)
    except ValueError:
        return None


def _algorithm_of_curve(key: dict[str, Any]) -> str | None:
    curve = key.get("crv")
    return _CURVES[curve][0] if isinstance(curve, str) and curve in _CURVES else None


def _pem(key: dict[str, Any]) -> str:
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    if key.get("kty") == "RSA":
        public = rsa.RSAPublicNumbers(_number(key, "e"), _number(key, "n")).public_key()
    elif key.get("kty") == "EC" and _algorithm_of_curve(key):
        curve = _CURVES[key["crv"]][1]()
        numbers = ec.EllipticCurvePublicNumbers(_number(key, "x"), _number(key, "y"), curve)
        public = numbers.public_key()
    else:
        raise ValueError("neither RSA nor on a curve that we know")
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _number(key: dict[str, Any], name: str) -> int:
    text = key.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_NUMBER_CHARACTERS:
        raise ValueError(f"{name} is no number")
    padded = text + "=" * (-len(text) % 4)
    return int.from_bytes(base64.b64decode(padded, altchars=b"-_", validate=True), "big")
