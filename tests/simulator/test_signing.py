"""Keys and tokens, held against PyJWT."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.keys import ALGORITHMS, KeyMaker, public_pem
from simulator.signing import SigningPolicy, jwk, sign

NOW = 1_767_225_600


def policy(algorithm: str, **more: Any) -> SigningPolicy:
    """A policy of the seed 1."""
    return SigningPolicy(
        id=1,
        name="main",
        algorithm=algorithm,
        key=KeyMaker(1).make(algorithm, "main"),
        issuer="https://wdc.xurrent.example",
        **more,
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_all_six_algorithms_verify(algorithm: str):
    """A token verifies with the PEM and with the JSON Web Key, under its own algorithm alone."""
    made = policy(algorithm, audience="us", kid="one")
    token = sign(made, {"event": "x"}, 7, NOW)
    options: Any = {"verify_exp": False}
    for key in (made.public_pem, jwt.PyJWK(jwk(made)).key):
        name = algorithm.upper()
        claims = jwt.decode(token, key, algorithms=[name], audience="us", options=options)
        assert (claims["data"], claims["sub"], claims["iat"]) == ({"event": "x"}, "7", NOW)
    assert jwk(made).keys().isdisjoint({"d", "p", "q"})


def test_headers_tell_the_mode():
    """A handed-out key has a typ and no kid, a discovered one a kid and no typ."""
    plain = jwt.get_unverified_header(sign(policy("es256"), {}, 1, NOW))
    found = jwt.get_unverified_header(sign(policy("es256", kid="one"), {}, 1, NOW))
    assert plain == {"typ": "JWT", "alg": "ES256"}
    assert found == {"kid": "one", "alg": "ES256"}


def test_exp_and_aud_only_where_the_policy_has_them():
    """Real tokens without them are normal."""
    options: Any = {"verify_signature": False}
    plain = jwt.decode(sign(policy("es256"), {}, 1, NOW), options=options)
    full = sign(policy("es256", audience="us", expires_in_seconds=600), {}, 1, NOW)
    stated = jwt.decode(full, options=options)
    assert plain.keys() == {"data", "jti", "sub", "iss", "nbf", "iat"}
    assert (stated["aud"], stated["exp"]) == ("us", NOW + 600)
    assert plain["jti"] != stated["jti"]


def test_keys_come_from_the_seed():
    """The same seed makes the same keys, another one others, and RSA keys have full length."""
    for algorithm in ("rs256", "es512"):
        first, again = (KeyMaker(1).make(algorithm, "a") for _ in range(2))
        assert public_pem(first) == public_pem(again)
        assert public_pem(first) != public_pem(KeyMaker(2).make(algorithm, "a"))
    maker = KeyMaker(1)
    keys = [maker.make("rs256", f"{number}") for number in range(20)]
    assert len({public_pem(key) for key in keys}) == 20
    assert {key.key_size for key in keys if isinstance(key, rsa.RSAPrivateKey)} == {2048}
