"""Tokens: accepted exactly when a plain check, which shares no code with ours, accepts them."""

from __future__ import annotations

import base64
import hmac
import json
import re
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st

from innkeeper.lifecycle.errors import Rejected
from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms import jws
from tests.fuzz.effort import effort
from tests.fuzz.words import altered, damaged, objects, scalars, texts, values, written
from tests.keys import key_for, policy_for, private_pem, public_pem
from tests.tokens import encode, mirrored, sign

SOUND = {"iss": "https://harbour.xurrent.com", "iat": 1767225600, "data": {"event": "x"}}
OWNERS = ("provider", "somebody")
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_DEEPEST = 200


@st.composite
def tokens(draw: st.DrawFn) -> tuple[str, SigningPolicy]:
    """A token that may be sound, and the policy that it is held against."""
    algorithm = draw(st.sampled_from(jws.ALGORITHMS))
    policy = policy_for(draw(st.sampled_from([algorithm, algorithm, *jws.ALGORITHMS])))
    owner = draw(st.sampled_from([OWNERS[0], *OWNERS]))
    header = draw(st.one_of(st.none(), st.none(), _headers(algorithm)))
    claims = draw(st.one_of(altered(SOUND).map(written), damaged(written(SOUND)), st.binary()))
    token = sign(claims, algorithm, key_for(algorithm, owner), header)
    return draw(_altered(token, algorithm)), policy


def _headers(algorithm: str) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["alg", "kid", "crit", "b64", "jwk", "x5u", "typ"]) | texts
    stated = {"alg": algorithm, "typ": "JWT"}
    others = st.sampled_from(["none", "HS256", "PS256", algorithm.lower(), "RS256", "ES256", ""])
    return st.one_of(
        st.dictionaries(names, scalars | others | values, max_size=3),
        st.sampled_from([written(stated), b'{"alg":"%s"}' % algorithm.encode()]).flatmap(damaged),
        st.just(b'{"alg":"none","alg":"%s"}' % algorithm.encode()),
    )


def _altered(token: str, algorithm: str) -> st.SearchStrategy[str]:
    head, claims, signed = token.split(".")
    whole = st.just(token)
    odd = [
        f"{token}==", f"{token}.", f".{token}", f"{token} ", f"{head}.{signed}.{claims}",
        f"{head}.{claims}.", f"{head}..{signed}", f"{claims}.{claims}.{signed}", token.upper(),
        f"{head}.{claims}.{encode(bytes(64))}", f"{head}.{claims}.{signed}{signed}",
    ]  # fmt: skip
    if algorithm == "ES256":
        odd.append(mirrored(token))
    bytewise = damaged(token.encode()).map(lambda raw: raw.decode("latin-1"))
    return st.one_of(whole, whole, st.sampled_from(odd), bytewise, st.text(max_size=30))


def plain_check(token: str, policy: SigningPolicy) -> dict[str, Any] | None:
    """The claims of a token that is signed by the policy's key as RFC 7515 has it, else None."""
    try:
        head, claims, signed = (_bytes(part) for part in token.split("."))
        header = _json(head)
        names = isinstance(header, dict) and not {"crit", "b64"} & set(header)
        if not names or header.get("alg") != policy.algorithm:
            return None
        if not isinstance(header.get("kid"), str | None):
            return None
        _verify(token.rpartition(".")[0].encode(), signed, policy)
        found = _json(claims)
    except (ValueError, InvalidSignature, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _bytes(segment: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", segment):
        raise ValueError(segment)
    found = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if encode(found) != segment:
        raise ValueError(segment)
    return found


def _json(data: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def never(name: str) -> Any:
        raise ValueError(name)

    found = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    if _depth(found) > _DEEPEST:
        raise ValueError("deep")
    return found


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, dict | list) else 0


def _verify(signed: bytes, signature: bytes, policy: SigningPolicy) -> None:
    key = serialization.load_pem_public_key(policy.public_key.encode())
    hashing = _HASHES[policy.algorithm[-3:]]
    if isinstance(key, ec.EllipticCurvePublicKey):
        size = (key.curve.key_size + 7) // 8
        if len(signature) != 2 * size:
            raise ValueError("size")
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashing))
    else:
        key.verify(signature, signed, padding.PKCS1v15(), hashing)  # type: ignore[union-attr, call-arg, arg-type]


def ours(token: str, policies: list[SigningPolicy]) -> dict[str, Any] | None:
    """The same by the product; None where it says Rejected."""
    try:
        parsed = jws.parse(token)
        jws.verify(parsed, policies)
        return jws.claims_of(parsed)
    except Rejected:
        return None


@effort(350)
@given(tokens())
def test_accepted_exactly_when_a_plain_check_accepts(drawn):
    """Neither more nor less, with the same claims, and never another error than Rejected."""
    token, policy = drawn
    assert repr(ours(token, [policy])) == repr(plain_check(token, policy))


@effort(200)
@given(st.data(), st.sampled_from(["RS256", "ES256", "ES384"]))
def test_no_altered_token_is_accepted_with_other_claims(data, algorithm):
    """Of one sound token, nothing but its own claims can be made without the key."""
    token = sign(SOUND, algorithm, key_for(algorithm))
    other = data.draw(damaged(token.encode())).decode("latin-1")
    assert ours(other, [policy_for(algorithm)]) in (None, SOUND)


@effort(150)
@given(st.dictionaries(texts, scalars, max_size=3), st.sampled_from(["none", "HS256", "RS256"]))
def test_a_public_key_signs_nothing(more, name):
    """Whatever is signed with the public key's own text, or with nothing, is refused."""
    policies = [policy_for(algorithm) for algorithm in jws.ALGORITHMS]
    signed = f"{encode(written({**more, 'alg': name}))}.{encode(written(SOUND))}"
    for policy in policies:
        mac = hmac.digest(policy.public_key.encode(), signed.encode(), "sha256")
        assert ours(f"{signed}.{encode(mac)}", policies) is None
    assert ours(f"{signed}.", policies) is None


@effort(300)
@given(
    altered(SOUND).filter(lambda one: isinstance(one, dict)) | objects,
    st.none() | texts,
    st.none() | st.floats(0, 1e9),
)
@example({"aud": ["a"]}, "a", None)
def test_claims_are_checked_without_another_error(claims, audience, expires):
    """Any claims hold or are Rejected; what holds has times that are numbers."""
    try:
        jws.check_claims(claims, audience=audience, now=1767225600.0, expires_in_seconds=expires)
    except Rejected:
        return
    times = [claims[name] for name in ("iat", "nbf", "exp") if name in claims]
    assert all(type(each) in (int, float) for each in times)
    assert audience is None or claims["aud"] in (audience, [audience])


@effort(200)
@given(st.sampled_from(jws.ALGORITHMS), st.sampled_from(jws.ALGORITHMS), st.booleans(), st.data())
def test_a_key_is_good_or_a_value_error(stated, of, private, data):
    """Any text for a key, and any name for an algorithm, is a policy that fits or ValueError."""
    key = key_for(of)
    pem = (private_pem if private else public_pem)(key).encode()
    text = data.draw(st.just(pem) | damaged(pem)).decode("latin-1")
    name = data.draw(st.sampled_from([stated, stated.lower()]) | texts)
    try:
        policy = jws.signing_policy(name, text)
    except ValueError:
        return
    assert policy.algorithm[:2] == of[:2]
    assert "PRIVATE" not in policy.public_key
    assert ours(sign(SOUND, policy.algorithm, key), [policy]) in (None, SOUND)
