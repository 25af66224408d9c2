"""The matrix of tokens: all that may be wrong with one, and what is right though it looks odd."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from innkeeper.lifecycle.errors import Malformed, Reason, Rejected
from innkeeper.lifecycle.events import Event, Mark
from innkeeper.platforms import jws
from innkeeper.platforms.admission import Request
from innkeeper.platforms.xurrent import inbound
from tests.keys import key_for, policy_for, private_pem, public_pem, rsa_key
from tests.platforms.harbour import ISSUER, NOW, TIDES, admit, admit_token, claims, data
from tests.tokens import decode, encode, mirrored, sign, signature

AUDIENCE = [policy_for("ES256", audience="tides")]
EXPIRING = replace(TIDES, claim_expires_in=600.0)
DEEP = b'{"iss":"' + ISSUER.encode() + b'","data":' + b"[" * 100_000


def refused(reason: Reason, *args: Any, **more: Any) -> None:
    """Claims that are signed, or a token, are refused for this reason."""
    with pytest.raises(Rejected) as raised:
        (admit_token if isinstance(args[0], str) else admit)(*args, **more)
    assert raised.value.reason is reason, raised.value


def good_token(**more: Any) -> str:
    """A token in which all holds."""
    return sign(claims(**more), "ES256", key_for("ES256"))


# Algorithms and keys


@pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
def test_the_six_algorithms(algorithm):
    """Each is accepted under a policy that names it, and no other policy."""
    token = sign(claims(), algorithm, key_for(algorithm))
    assert admit_token(token, policies=[policy_for(algorithm)]).mark is None
    others = [policy_for(name) for name in jws.ALGORITHMS if name != algorithm]
    refused(Reason.WRONG_ALGORITHM, token, policies=others)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", "es256", "HS256", "PS256", "ES256K"])
def test_the_token_does_not_choose_its_algorithm(name):
    """Whatever the header says, only what the policy says is compared with it."""
    refused(Reason.WRONG_ALGORITHM, claims(), header={"alg": name})


def test_a_token_without_signature():
    """`none` and an empty signature is not signed, nor is an empty one under the policy's name."""
    head, body, _ = sign(claims(), "ES256", key_for("ES256"), {"alg": "none"}).split(".")
    refused(Reason.WRONG_ALGORITHM, f"{head}.{body}.")
    head, body, _ = good_token().split(".")
    refused(Reason.BAD_SIGNATURE, f"{head}.{body}.")


@pytest.mark.parametrize("name", ["HS256", "RS256"])
def test_the_public_key_is_no_shared_secret(name):
    """HMAC with the public key's PEM signs nothing, under either name."""
    head = encode(json.dumps({"alg": name}).encode())
    signed = f"{head}.{encode(json.dumps(claims()).encode())}"
    pem = public_pem(key_for("RS256")).encode()
    token = f"{signed}.{encode(hmac.digest(pem, signed.encode(), hashlib.sha256))}"
    expected = Reason.WRONG_ALGORITHM if name == "HS256" else Reason.BAD_SIGNATURE
    refused(expected, token, policies=[policy_for("RS256")])


def test_pss_is_not_pkcs1():
    """The right RSA key with the other padding is a bad signature."""
    head = encode(b'{"alg":"RS256"}')
    signed = f"{head}.{encode(json.dumps(claims()).encode())}"
    key = rsa_key(2048)
    made = key.sign(
        signed.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
    )
    refused(Reason.BAD_SIGNATURE, f"{signed}.{encode(made)}", policies=[policy_for("RS256")])


@pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
def test_another_key(algorithm):
    """A key of the same kind that is not the policy's."""
    token = sign(claims(), algorithm, key_for(algorithm, "stranger"))
    refused(Reason.BAD_SIGNATURE, token, policies=[policy_for(algorithm)])


def test_a_key_of_another_kind_or_curve():
    """Under the policy's algorithm name, signed by a key that does not fit it."""
    for other in ("ES384", "ES512", "RS256"):
        head = {"alg": "ES256"}
        refused(Reason.BAD_SIGNATURE, sign(claims(), other, key_for(other), head))


def test_the_first_policy_that_fits_signs():
    """Of a policy and the one before it either will do, and the signer is named."""
    policies = [policy_for("ES256", "new"), policy_for("ES256", "old"), policy_for("RS256")]
    for owner in ("new", "old"):
        admitted = admit(claims(), key=key_for("ES256", owner), policies=policies)
        assert admitted.signer == policy_for("ES256", owner).fingerprint
    refused(Reason.BAD_SIGNATURE, claims(), key=key_for("ES256", "stranger"), policies=policies)


def test_no_policy_at_all():
    """Without a policy nothing is authentic."""
    refused(Reason.WRONG_ALGORITHM, claims(), policies=[])


def test_signatures_of_another_form():
    """DER, zeros, cut off, doubled or altered: a bad signature, and no exception."""
    head, body, made = good_token().split(".")
    raw = decode(made)
    key = key_for("ES256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    der = key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    forms = [
        der,
        bytes(64),
        raw[:-1],
        raw + raw,
        raw[32:] + raw[:32],
        bytes([raw[0] ^ 1]) + raw[1:],
    ]
    for form in forms:
        refused(Reason.BAD_SIGNATURE, f"{head}.{body}.{encode(form)}")


def test_altered_content():
    """Header and claims are signed: neither can be replaced."""
    head, body, made = good_token().split(".")
    other = encode(json.dumps(claims(sub="2")).encode())
    refused(Reason.BAD_SIGNATURE, f"{head}.{other}.{made}")
    shorter = encode(b'{"alg":"ES256"}')
    refused(Reason.BAD_SIGNATURE, f"{shorter}.{body}.{made}")


# Headers


@pytest.mark.parametrize(
    "extra",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "' UNION SELECT 'k"},
        {"kid": ""},
        {"kid": "k" * 10_000},
        {"kid": None},
        {"typ": None},
        {"typ": "at+jwt"},
        {"cty": "JWT"},
        {"zip": "DEF"},
    ],
    ids=str,
)
def test_header_fields_that_choose_nothing(extra):
    """A `kid` is no path, no query and no key here: the policy's own key verifies."""
    assert admit(claims(), header=extra).mark is None


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_keys_that_a_token_brings_along(name):
    """They are not looked at: signed with one of its own, a token is not signed."""
    stranger = key_for("ES256", "stranger")
    brought = {"jwk": {"kty": "EC"}, "jku": "https://evil.example/jwks"}.get(name, ["MII"])
    refused(Reason.BAD_SIGNATURE, claims(), key=stranger, header={name: brought})
    assert admit(claims(), header={name: brought}).mark is None


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b'"ES256"',
        b"{}",
        b'{"alg":null}',
        b'{"alg":256}',
        b'{"alg":["ES256"]}',
        b'{"alg":"ES256","alg":"none"}',
        b'{"alg":"ES256","kid":7}',
        b'{"alg":"ES256","kid":{"$ne":1}}',
        b'{"alg":"ES256","crit":["exp"]}',
        b'{"alg":"ES256","crit":[]}',
        b'{"alg":"ES256","b64":false}',
        b'{"alg":"ES256"',
        b'\xef\xbb\xbf{"alg":"ES256"}',
        b'{"alg":"ES\xff256"}',
        b"[" * 100_000,
    ],
    ids=lambda header: header[:40],
)
def test_headers_that_are_none(header):
    """No object, no algorithm, repeated names, critical extensions, not JSON: no token."""
    refused(Reason.BAD_TOKEN, claims(), header=header)


# The form of a token


def odd_forms() -> dict[str, str]:
    """What looks like a token and is none, by its oddity."""
    token = good_token()
    head, body, made = token.split(".")
    return {
        "empty": "",
        "one segment": head,
        "two segments": f"{head}.{body}",
        "four segments": f"{token}.{made}",
        "five segments, encrypted": f"{token}.{body}.{made}",
        "two tokens with a comma": f"{token},{token}",
        "two tokens with a space": f"{token} {token}",
        "two tokens end to end": f"{token}{token}",
        "dots only": "..",
        "dot in front": f".{token}",
        "space in front": f" {token}",
        "line feed at the end": f"{token}\n",
        "bearer": f"Bearer {token}",
        "padded signature": f"{token}==",
        "padded claims": f"{head}.{body}=.{made}",
        "white space within": f"{head}.{body[:9]} {body[9:]}.{made}",
        "standard alphabet": f"{head}.{body}.{made[:-2]}+/",
        "not ASCII": f"{head}.{body}.{made[:-1]}é",
        "lone surrogate": f"{head}.{body}.{made[:-1]}\ud800",
        "NUL": f"{head}.{body}\x00.{made}",
        "impossible length": f"{head}.{body}.{made[:85]}",
        "bits left over": f"{head}.{body}.{made[:-1]}{_next(made[-1])}",
    }


def _next(character: str) -> str:
    """The character after it: to a lenient decoder the same, since the last bits are spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) + 1]


@pytest.mark.parametrize("form", odd_forms())
def test_one_token_has_one_text(form):
    """Anything but three canonical segments is no token."""
    refused(Reason.BAD_TOKEN, odd_forms()[form])


def test_a_token_has_a_greatest_length():
    """Its cost is bounded before any of it is decoded."""
    refused(Reason.BAD_TOKEN, "a" * (jws.MAX_TOKEN_CHARACTERS + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"jwt"',
        b"{}",
        b'{"jwt":null}',
        b'{"jwt":["a.b.c"]}',
        b'{"JWT":"a.b.c"}',
        b'{"jwt":"a.b.c","jwt":"a.b.c"}',
        b'\xef\xbb\xbf{"jwt":"a.b.c"}',
        b'{"jwt":"a.b.c"} {"jwt":"a.b.c"}',
        b'{"jwt":"a.b.\xff"}',
        b'{"jwt":NaN}',
        b'{"a":' * 100_000,
    ],
    ids=lambda body: body[:40],
)
def test_envelopes_that_are_none(body):
    """Not the platform's outer form is the sender's to mend: malformed, and not refused."""
    with pytest.raises(Malformed):
        inbound.open_request(Request(platform="xurrent", app="tide-tables", body=body), TIDES)


# Claims


@pytest.mark.parametrize(
    "stated",
    [
        b"",
        b"null",
        b"[]",
        b'"claims"',
        b"7",
        b"{",
        b'{"iss":"' + ISSUER.encode() + b'","iss":"' + ISSUER.encode() + b'"}',
        b'{"iss":"' + ISSUER.encode() + b'","data":{"event":"a","event":"b"}}',
        b'{"iss":"' + ISSUER.encode() + b'","exp":NaN}',
        b'{"iss":"' + ISSUER.encode() + b'","exp":Infinity}',
        b'{"iss":"' + ISSUER.encode() + b'","exp":' + b"9" * 5000 + b"}",
        b'{"iss":"\xff"}',
        b"\xef\xbb\xbf{}",
        DEEP + b"]" * 100_000 + b"}",
        DEEP,
    ],
    ids=lambda stated: stated[:60],
)
def test_claims_that_are_none(stated):
    """Signed, yet no object of claims that can be read in one way only."""
    refused(Reason.BAD_CLAIMS, stated)


@pytest.mark.parametrize("inner", [b"[@]", b'{"a":@}', b'[{"a":@}]'])
def test_content_nests_to_a_depth(inner):
    """Up to 200 levels it can be read and stored again; deeper, these are no claims."""
    body = json.dumps(claims(data(audit_line_id=1, deep="@"))).encode()
    levels = inner.count(b"[") + inner.count(b"{")

    def nested(depth: int) -> bytes:
        before, after = inner.split(b"@")
        times = depth // levels
        return body.replace(b'"@"', before * times + b"1" + after * times)

    admitted = admit(nested(jws.MAX_DEPTH - 4))
    assert admitted.mark is None
    assert msgspec.json.decode(msgspec.json.encode(admitted.event), type=Event) == admitted.event
    for depth in (jws.MAX_DEPTH, 900, *range(970, 1000)):
        refused(Reason.BAD_CLAIMS, nested(depth))


def test_wide_content_is_not_deep():
    """Many objects beside each other are no matter."""
    assert admit(claims(data(rows=[{"n": [n]} for n in range(2000)]))).mark is None


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        "",
        "harbour",
        "https://lighthouse.xurrent.com",
        7,
        True,
        [ISSUER],
        {"iss": ISSUER},
        "\ud800",
    ],
    ids=repr,
)
def test_the_issuer_must_be_the_policys(issuer):
    """Missing, of another account, or of another type."""
    refused(Reason.WRONG_ISSUER, claims(iss=issuer))


@pytest.mark.parametrize(
    "audience",
    [None, "", "Tides", "tides ", ["tides", "others"], [], [["tides"]], 7, True, {"tides": 1}],
    ids=repr,
)
def test_the_audience_must_be_the_policys(audience):
    """Missing, another, one of several, or of another type."""
    refused(Reason.WRONG_AUDIENCE, claims(aud=audience), policies=AUDIENCE)


@pytest.mark.parametrize("audience", ["tides", ["tides"]], ids=repr)
def test_the_audience_may_stand_in_a_list(audience):
    """A list of that one is the same."""
    assert admit(claims(aud=audience), policies=AUDIENCE).mark is None


@pytest.mark.parametrize("value", ["1767225600", True, None, [], {}, -1, -0.5, 1e12, 1e300, 2**70])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_times_are_numbers(name, value):
    """A text, a truth, nothing, something negative or huge is no time."""
    body = json.dumps(claims() | {name: value}).encode()
    refused(Reason.BAD_CLAIMS, body)


@pytest.mark.parametrize("value", [1, True, [], {}, 0, False])
def test_a_jti_is_text(value):
    """What is no text cannot name a delivery."""
    refused(Reason.BAD_CLAIMS, claims(jti=value))


@pytest.mark.parametrize(
    ("expected", "more"),
    [
        (None, {}),
        (None, {"iat": NOW + 60, "nbf": NOW + 60}),
        (Reason.NOT_YET_VALID, {"iat": NOW + 61}),
        (Reason.NOT_YET_VALID, {"nbf": NOW + 61}),
        (Reason.NOT_YET_VALID, {"nbf": NOW + 60.5}),
        (None, {"iat": 0, "nbf": 0}),
        (None, {"iat": None, "nbf": None}),
        (None, {"exp": NOW - 59.5}),
        (None, {"exp": NOW + 10**9}),
        (Reason.EXPIRED, {"exp": NOW - 60}),
        (Reason.EXPIRED, {"exp": 0}),
    ],
)
def test_times_within_the_leeway_of_a_minute(expected, more):
    """Clocks may drift by 60 s; the age of a token alone is no reason."""
    if expected is None:
        assert admit(claims(**more)).mark is None
    else:
        refused(expected, claims(**more))


@pytest.mark.parametrize(
    ("expected", "more"),
    [
        (None, {"exp": NOW + 600}),
        (None, {"exp": NOW + 300}),
        (Reason.BAD_CLAIMS, {}),
        (Reason.BAD_CLAIMS, {"exp": NOW + 601}),
        (Reason.BAD_CLAIMS, {"exp": NOW + 300, "iat": None}),
        (Reason.EXPIRED, {"exp": NOW - 61, "iat": NOW - 600}),
    ],
)
def test_a_policy_may_demand_that_tokens_expire(expected, more):
    """Then `exp` and `iat` are there, and no further apart than it says."""
    if expected is None:
        assert (admit(claims(**more), app=EXPIRING).expires_at or 0) > NOW
    else:
        refused(expected, claims(**more), app=EXPIRING)


def test_the_expiry_rule_is_the_providers():
    """A customer's policy tells nothing of an expiry, so none is demanded of its tokens."""
    stated = claims(
        {"event": "automation_rule", "payload": {}}, iss="https://lighthouse.xurrent.com"
    )
    admitted = admit(stated, "account=lighthouse", app=EXPIRING, policies=[policy_for("ES256")])
    assert admitted.mark is None


def test_lone_surrogates():
    """No text can hold them: kept and dead-lettered in the content, harmless in a `jti`."""
    assert admit(claims(data() | {"name": "\ud800"})).mark is Mark.UNDECODABLE
    assert admit(claims(data("\udfff"))).mark is Mark.UNDECODABLE
    assert admit(claims(jti="\ud800")).mark is None


# Keys


NOT_A_KEY = "-----BEGIN {} KEY-----\nMFkw\n-----END {} KEY-----\n"
POOR_KEYS: dict[str, tuple[str, Callable[[], str]]] = {
    "RSA of 1024 bits": ("RS256", lambda: public_pem(rsa_key(1024))),
    "RSA of 2040 bits": ("RS256", lambda: public_pem(rsa_key(2040))),
    "a curve for RS256": ("RS256", lambda: public_pem(key_for("ES256"))),
    "private RSA": ("RS256", lambda: private_pem(rsa_key(2048))),
    "RSA for ES256": ("ES256", lambda: public_pem(rsa_key(2048))),
    "P-384 for ES256": ("ES256", lambda: public_pem(key_for("ES384"))),
    "P-521 for ES384": ("ES384", lambda: public_pem(key_for("ES512"))),
    "P-256 for ES512": ("ES512", lambda: public_pem(key_for("ES256"))),
    "secp256k1": ("ES256", lambda: public_pem(ec.generate_private_key(ec.SECP256K1()))),
    "HS256": ("HS256", lambda: public_pem(rsa_key(2048))),
    "PS256": ("PS256", lambda: public_pem(rsa_key(2048))),
    "none": ("none", lambda: public_pem(rsa_key(2048))),
    "no algorithm": ("", lambda: public_pem(rsa_key(2048))),
    "no key": ("ES256", str),
    "a broken public key": ("ES256", lambda: NOT_A_KEY.format("PUBLIC", "PUBLIC")),
    "a broken private key": ("ES256", lambda: NOT_A_KEY.format("PRIVATE", "PRIVATE")),
    "ssh": ("ES256", lambda: "ssh-rsa AAAA"),
    "a lone surrogate": ("ES256", lambda: "\ud800"),
}


@pytest.mark.parametrize("case", POOR_KEYS)
def test_keys_that_are_not_good_enough(case):
    """RSA below 2048 bits, another kind or curve, private RSA, no key: no signing policy."""
    algorithm, make = POOR_KEYS[case]
    pem = make()
    with pytest.raises(ValueError, match=r"."):
        jws.signing_policy(algorithm, pem)


def test_a_private_key_is_not_quoted():
    """What is wrong with a private key is told without a line of it."""
    pem = private_pem(rsa_key(2048))
    with pytest.raises(ValueError, match=r"private key") as raised:
        jws.signing_policy("RS256", pem)
    assert all(line not in str(raised.value) for line in pem.splitlines()[1:-1])


def test_a_private_elliptic_key_gives_its_public_half():
    """As 4me once handed it out; the private half is gone."""
    key = key_for("ES512")
    policy = jws.signing_policy("es512", f"\n{private_pem(key)}\n")
    assert policy == policy_for("ES512")
    assert "PRIVATE" not in policy.public_key


# Canonical base64url, against the reference


def reference(segment: bytes) -> bytes | None:
    """The bytes that have exactly this text, by the standard library's own coders."""
    try:
        found = base64.b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if base64.urlsafe_b64encode(found).rstrip(b"=") == segment else None


def decoded(segment: bytes) -> bytes | None:
    """The bytes by our own decoder; None where it refuses."""
    try:
        return jws._decode(segment)
    except Rejected:
        return None


@given(st.binary(max_size=200))
def test_every_sequence_of_bytes_has_its_text(data):
    """What the standard library encodes is decoded."""
    assert decoded(base64.urlsafe_b64encode(data).rstrip(b"=")) == data


@given(st.text("ABCQgwxEIM019-_+/= \n.", max_size=12).map(str.encode) | st.binary(max_size=12))
def test_decoding_is_that_of_the_reference(segment):
    """The fast decoder accepts and gives exactly what the slow and strict one does."""
    assert decoded(segment) == reference(segment)


# Copies


def test_a_high_s_copy_is_the_same_delivery():
    """Anybody can mirror an ES signature; it still verifies, and has the same claims."""
    token = good_token(jti="f" * 64)
    copy = mirrored(token)
    assert token != copy
    assert admit_token(copy).claims == admit_token(token).claims


def test_signing_by_hand_is_signing():
    """What these tests sign with agrees with the library that verifies."""
    assert len(signature(b"x", "ES512", key_for("ES512"))) == 132
