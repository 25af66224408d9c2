"""OpenID discovery: what documents are believed, and how they are fetched."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from innkeeper.outgoing import Forbidden, Outgoing, Unreachable
from innkeeper.platforms.discovery import BadDocument, fetch_keys, jwks_uri, signing_keys
from tests.sites import Reply, Site, make_certificate, reply, site

ISSUER = "https://wdc.xurrent.com/webhook_policies/main"
WELL_KNOWN = "/webhook_policies/main/.well-known/openid-configuration"
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def ec_jwk(curve: str = "P-521", **members: Any) -> dict[str, Any]:
    """A new public key on `curve`, with kid `ec` and whatever else is said (None: left out)."""
    numbers = ec.generate_private_key(CURVES[curve]).public_key().public_numbers()
    size = (CURVES[curve].key_size + 7) // 8
    jwk = {
        "kid": "ec",
        "kty": "EC",
        "use": "sig",
        "crv": curve,
        "x": text(numbers.x.to_bytes(size, "big")),
        "y": text(numbers.y.to_bytes(size, "big")),
    } | members
    return {name: value for name, value in jwk.items() if value is not None}


def rsa_jwk(bits: int = 2048, **members: Any) -> dict[str, Any]:
    """A new RSA public key, with kid `rsa` and whatever else is said."""
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    modulus = text(numbers.n.to_bytes(bits // 8, "big"))
    return {"kid": "rsa", "kty": "RSA", "use": "sig", "n": modulus, "e": "AQAB"} | members


def text(number: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(number).rstrip(b"=").decode()


def key_set(*keys: Any) -> bytes:
    """A JWK set as a document."""
    return json.dumps({"keys": keys}).encode()


def read(*keys: Any, algorithm: str | None = None) -> dict[str, str]:
    """kid -> algorithm of the keys taken from a set."""
    policies = signing_keys(key_set(*keys), issuer=ISSUER, algorithm=algorithm, audience=None)
    return {kid: policy.algorithm for kid, policy in policies.items()}


def test_a_policy_carries_issuer_and_audience() -> None:
    """A key becomes a signing policy of its issuer, with the audience that we expect."""
    document = key_set(ec_jwk("P-521", kid="one"))
    policy = signing_keys(document, issuer=ISSUER, algorithm="es512", audience="us")["one"]
    assert (policy.algorithm, policy.issuer, policy.audience) == ("ES512", ISSUER, "us")
    assert policy.public_key.startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize(
    ("jwk", "algorithm", "taken"),
    [
        (ec_jwk("P-256"), None, "ES256"),
        (ec_jwk("P-384"), None, "ES384"),
        (ec_jwk("P-521", alg="ES512"), None, "ES512"),
        (ec_jwk("P-521", alg="ES512"), "es512", "ES512"),
        (rsa_jwk(alg="RS384"), None, "RS384"),
        (rsa_jwk(), "rs512", "RS512"),
    ],
)
def test_the_algorithm_is_ours_else_the_keys_own(
    jwk: dict[str, Any], algorithm: str | None, taken: str
) -> None:
    """A key is bound to our policy's algorithm, or without one to its own alg, or its curve's."""
    assert list(read(jwk, algorithm=algorithm).values()) == [taken]


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        (ec_jwk(use="enc"), None),
        (ec_jwk(use=None), None),
        (ec_jwk(alg="ES256"), None),
        (ec_jwk(alg="HS256"), None),
        (ec_jwk(alg="none"), None),
        (ec_jwk(alg=None, crv="P-256"), None),
        (ec_jwk(alg=512), None),
        (ec_jwk("P-256"), "ES512"),
        (ec_jwk("P-256", alg="ES256"), "ES512"),
        (ec_jwk(crv="secp256k1"), None),
        (ec_jwk(crv=["P-521"]), None),
        (ec_jwk(d="AQ"), None),
        (ec_jwk(x=None), None),
        (ec_jwk(x="AQ"), None),
        (ec_jwk(x="A!"), None),
        (ec_jwk(x=7), None),
        (ec_jwk(kid=None), None),
        (ec_jwk(kid=""), None),
        (ec_jwk(kid=7), None),
        (ec_jwk(kid="k" * 257), None),
        (ec_jwk(kty="oct", k="AQ"), None),
        (ec_jwk(kty=None), None),
        (rsa_jwk(), None),
        (rsa_jwk(), "ES512"),
        (rsa_jwk(1024, alg="RS256"), None),
        (rsa_jwk(alg="RS256", d="AQ"), None),
        (rsa_jwk(alg="RS256", n="A" * 1367), None),
        (rsa_jwk(alg="RS256", e="Ag"), None),
        ("no object", None),
    ],
)
def test_a_key_that_does_not_fit_is_left_out(jwk: Any, algorithm: str | None) -> None:
    """Wrong use, algorithm, curve, size or form, or a private part: the others are still taken."""
    good = ec_jwk("P-521", kid="good")
    assert read(jwk, good, algorithm=algorithm) == {"good": "ES512"}
    with pytest.raises(BadDocument, match="no key that fits"):
        read(jwk, algorithm=algorithm)


def test_a_kid_used_twice_is_no_key() -> None:
    """Keys that share a kid are all left out: which one is meant cannot be told."""
    keys = [ec_jwk(kid="twice"), ec_jwk(kid="twice", d="AQ"), ec_jwk(kid="once")]
    assert read(*keys) == {"once": "ES512"}


def test_a_set_is_bounded() -> None:
    """A hundred keys are a set; one more, or more than 64 KiB, is none."""
    keys = [ec_jwk("P-256", kid=str(number)) for number in range(101)]
    assert len(read(*keys[:100])) == 100
    with pytest.raises(BadDocument, match="at most 100"):
        read(*keys)
    with pytest.raises(BadDocument, match="larger"):
        read(keys[0], {"padding": "x" * 65536})


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b'"keys"',
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": [], "keys": []}',
        b"\xff{}",
        b'{"keys": ' + b"[" * 50000,
        b'{"keys": NaN}',
    ],
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    """Anything but a JSON object with a list of keys is a BadDocument."""
    with pytest.raises(BadDocument):
        signing_keys(document, issuer=ISSUER, algorithm=None, audience=None)


@pytest.mark.parametrize(
    "stated",
    [
        {"jwks_uri": "https://wdc.xurrent.com/jwks"},
        {"jwks_uri": "https://WDC.xurrent.com:443/jwks?a=b", "issuer": ISSUER, "more": [1]},
    ],
)
def test_jwks_uri_on_the_issuers_host_is_taken(stated: dict[str, Any]) -> None:
    """The keys' place is taken as it stands, if it is on the issuer's host."""
    assert jwks_uri(json.dumps(stated).encode(), ISSUER) == stated["jwks_uri"]


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"jwks_uri": None},
        {"jwks_uri": ["https://wdc.xurrent.com/jwks"]},
        {"jwks_uri": "http://wdc.xurrent.com/jwks"},
        {"jwks_uri": "//wdc.xurrent.com/jwks"},
        {"jwks_uri": "/jwks"},
        {"jwks_uri": "https://evil.example/jwks"},
        {"jwks_uri": "https://xurrent.com/jwks"},
        {"jwks_uri": "https://wdc.xurrent.com.evil.example/jwks"},
        {"jwks_uri": "https://wdc.xurrent.com@evil.example/jwks"},
        {"jwks_uri": "https://evil.example\\@wdc.xurrent.com/jwks"},
        {"jwks_uri": "https://evil.example#@wdc.xurrent.com/jwks"},
        {"jwks_uri": "https://wdc.xurrent.com:8443/jwks"},
        {"jwks_uri": "https://wdc.xurrent.com/jw ks"},
        {"jwks_uri": "https://wdc.xurrent.com/jwks", "issuer": "https://evil.example"},
        {"jwks_uri": "https://wdc.xurrent.com/jwks", "issuer": ISSUER + "/"},
        {"jwks_uri": "https://wdc.xurrent.com/jwks", "issuer": None},
    ],
)
def test_jwks_uri_elsewhere_is_refused(stated: dict[str, Any]) -> None:
    """Another host, port, scheme or issuer makes the whole document bad."""
    with pytest.raises(BadDocument):
        jwks_uri(json.dumps(stated).encode(), ISSUER)


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An https site on loopback whose certificate is trusted."""
    trusted, tls = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with site(tls) as running:
        yield running


def issuer_at(server: Site, keys: Reply | None = None) -> str:
    """An issuer with a sound OpenID document; `keys`: what its JWKS answers."""
    base = f"https://127.0.0.1:{server.port}"
    issuer = f"{base}/webhook_policies/main"
    document = {"issuer": issuer, "jwks_uri": f"{base}/jwks"}
    server.replies[WELL_KNOWN] = reply("200 OK", json.dumps(document).encode())
    server.replies["/jwks"] = keys or reply("200 OK", key_set(ec_jwk("P-256", kid="one")))
    return issuer


def fetch(server: Site, issuer: str) -> list[str]:
    """The kids fetched, by a client that may call this server though it is not public."""
    outgoing = Outgoing([f"127.0.0.1:{server.port}"])
    return sorted(fetch_keys(outgoing, issuer, algorithm=None, audience=None))


def test_keys_are_fetched_in_two_steps(secure: Site) -> None:
    """The document tells where the keys are, and the keys come from there."""
    assert fetch(secure, issuer_at(secure)) == ["one"]
    assert secure.paths == [WELL_KNOWN, "/jwks"]


def test_an_issuer_in_a_private_network_is_not_asked(secure: Site) -> None:
    """Unless the operator allows its host, an issuer has to be at a public address."""
    with pytest.raises(Forbidden, match="no public address"):
        fetch_keys(Outgoing(), issuer_at(secure), algorithm=None, audience=None)
    assert secure.requests == []


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:{}", "https://127.0.0.1:{}?a", "wdc", ""])
def test_an_issuer_that_is_no_plain_https_address_is_not_asked(secure: Site, issuer: str) -> None:
    """An issuer is https, without query."""
    with pytest.raises(BadDocument):
        fetch(secure, issuer.format(secure.port))
    assert secure.requests == []


@pytest.mark.parametrize("path", [WELL_KNOWN, "/jwks"])
@pytest.mark.parametrize(
    "answer",
    [
        reply("302 Found", b"", "Location: /elsewhere"),
        reply("500 Internal Server Error", key_set(ec_jwk())),
        reply("404 Not Found"),
        reply("204 No Content"),
        reply("200 OK", b"<html>"),
    ],
)
def test_any_other_answer_is_bad(secure: Site, path: str, answer: bytes) -> None:
    """A redirect, an error or a page at either step is a BadDocument, and is not followed."""
    issuer = issuer_at(secure)
    secure.replies |= {path: answer, "/elsewhere": reply("200 OK", key_set(ec_jwk()))}
    with pytest.raises(BadDocument):
        fetch(secure, issuer)
    assert "/elsewhere" not in secure.paths


def test_keys_on_another_host_are_not_fetched(secure: Site) -> None:
    """A document that sends us to another server sends us nowhere."""
    issuer = issuer_at(secure)
    with site() as other:
        document = {"jwks_uri": f"https://127.0.0.1:{other.port}/jwks"}
        secure.replies[WELL_KNOWN] = reply("200 OK", json.dumps(document).encode())
        with pytest.raises(BadDocument, match="not on the issuer's host"):
            fetch(secure, issuer)
        assert other.requests == []


def test_a_huge_set_is_cut_off(secure: Site) -> None:
    """More than 64 KiB are not read."""
    with pytest.raises(Unreachable, match="larger"):
        fetch(secure, issuer_at(secure, reply("200 OK", b" " * 65537)))


def test_a_slow_issuer_is_given_four_seconds(secure: Site) -> None:
    """An endpoint that drips is left after 4 s."""

    def drip(connection: socket.socket) -> None:
        for _ in range(50):
            connection.sendall(b"x")
            time.sleep(0.1)

    began = time.monotonic()
    with pytest.raises(Unreachable, match="within 4 s"):
        fetch(secure, issuer_at(secure, drip))
    assert time.monotonic() - began < 5.5


def test_an_issuer_that_is_down_is_unreachable(secure: Site) -> None:
    """Where nobody listens, the failure is told as such."""
    secure.close()
    with pytest.raises(Unreachable, match="connection failed"):
        fetch(secure, issuer_at(secure))
