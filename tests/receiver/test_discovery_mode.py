"""A provider whose keys are discovered: a receiver before a real TLS site that has them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from innkeeper.config import Discovery, OutgoingSection
from tests.deliveries import PATH, delivery, lifecycle, xurrent_app
from tests.keys import key_for
from tests.receiver.conftest import Start
from tests.receiver.running import Running
from tests.sites import Site, make_certificate, reply, site

WELL_KNOWN = "/webhook_policies/main/.well-known/openid-configuration"


@pytest.fixture
def marketplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An https site that names its keys; its certificate is trusted by what starts afterwards."""
    trusted, tls = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with site(tls) as running:
        base = f"https://127.0.0.1:{running.port}"
        document = {"issuer": issuer(running), "jwks_uri": f"{base}/jwks"}
        running.replies[WELL_KNOWN] = reply("200 OK", json.dumps(document).encode())
        publish(running, one="provider")
        yield running


@pytest.fixture
def receiver(start: Start, marketplace: Site) -> Running:
    """A receiver whose provider is in discovery mode."""
    found = Discovery(issuer=f"https://127.0.0.1:{marketplace.port}")
    allowed = OutgoingSection(allow_hosts=(f"127.0.0.1:{marketplace.port}",))
    return start(apps=(xurrent_app(policy=found),), outgoing=allowed)


def issuer(marketplace: Site) -> str:
    """The issuer, with the policy's name in it, as tokens have it."""
    return f"https://127.0.0.1:{marketplace.port}/webhook_policies/main"


def publish(marketplace: Site, **owners: str) -> None:
    """Have the site name these owners' ES512 keys, by kid."""
    keys = [jwk(kid, key_for("ES512", owner)) for kid, owner in owners.items()]
    marketplace.replies["/jwks"] = reply("200 OK", json.dumps({"keys": keys}).encode())


def jwk(kid: str, key: object) -> dict[str, str]:
    """A public key as a JSON Web Key."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.public_key().public_numbers()
    x, y = (
        base64.urlsafe_b64encode(n.to_bytes(66, "big")).rstrip(b"=").decode()
        for n in (numbers.x, numbers.y)
    )
    return {"kty": "EC", "crv": "P-521", "use": "sig", "alg": "ES512", "kid": kid, "x": x, "y": y}


def signed(marketplace: Site, kid: str = "one", owner: str = "provider", iss: str = "") -> bytes:
    """A delivery whose token names a kid."""
    return delivery(
        lifecycle(),
        algorithm="ES512",
        owner=owner,
        header={"kid": kid},
        iss=iss or issuer(marketplace),
    )


def test_keys_are_fetched_once(receiver: Running, marketplace: Site):
    """The first delivery fetches document and keys, those that follow fetch nothing."""
    statuses = [receiver.post(PATH, signed(marketplace)).status for _ in range(3)]
    assert statuses == [202, 200, 200]
    assert marketplace.paths == [WELL_KNOWN, "/jwks"]


def test_what_the_keys_did_not_sign_is_refused(receiver: Running, marketplace: Site):
    """401 for another key under the kid, a kid that is not there, none, and another issuer."""
    port = marketplace.port
    for body in (
        signed(marketplace, owner="stranger"),
        signed(marketplace, kid="two"),
        signed(marketplace, kid=""),
        delivery(lifecycle(), algorithm="ES512", iss=issuer(marketplace)),
        signed(marketplace, iss="https://attacker.example/webhook_policies/main"),
        signed(marketplace, iss=f"https://127.0.0.1:{port}/elsewhere"),
        signed(marketplace, iss=f"https://127.0.0.1:{port}.attacker.example"),
    ):
        assert receiver.post(PATH, body).status == 401
    assert marketplace.paths == [WELL_KNOWN, "/jwks"]


def test_a_flood_of_kids_fetches_little(receiver: Running, marketplace: Site):
    """Fifty unknown kids cause one fetch, and a good token is accepted all the same."""
    for number in range(50):
        assert receiver.post(PATH, signed(marketplace, kid=f"k{number}")).status == 401
    assert receiver.post(PATH, signed(marketplace)).status == 202
    assert marketplace.paths == [WELL_KNOWN, "/jwks"]


def test_a_marketplace_that_is_away_is_no_refusal(receiver: Running, marketplace: Site):
    """503 while the keys have never been seen: to be sent again."""
    marketplace.replies[WELL_KNOWN] = reply("503 Service Unavailable")
    answer = receiver.post(PATH, signed(marketplace))
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_a_redirect_leads_nowhere(receiver: Running, marketplace: Site):
    """Keys from elsewhere are no keys: 503, and the redirect is not followed."""
    away = f"Location: https://127.0.0.1:{marketplace.port}/jwks"
    marketplace.replies[WELL_KNOWN] = reply("302 Found", b"", away)
    assert receiver.post(PATH, signed(marketplace)).status == 503
    assert marketplace.paths == [WELL_KNOWN]


def test_a_private_address_has_to_be_allowed(start: Start, marketplace: Site):
    """Without the operator's word a receiver does not call into its own network."""
    found = Discovery(issuer=f"https://127.0.0.1:{marketplace.port}")
    receiver = start(apps=(xurrent_app(policy=found),))
    assert receiver.post(PATH, signed(marketplace)).status == 503
    assert marketplace.paths == []
