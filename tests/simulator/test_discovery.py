"""What issuers serve over TLS: documents, keys, callbacks."""

from __future__ import annotations

import ssl

import httpx2
import jwt

from simulator.certificate import Certificate
from tests.simulator.conftest import Start
from tests.simulator.running import Receiver

APP = "badge-printer"


def site(certificate: Certificate) -> httpx2.Client:
    """A client that trusts the run's own authority and nobody else."""
    context = ssl.create_default_context(cafile=str(certificate.authority))
    return httpx2.Client(verify=context, trust_env=False)


def test_keys_are_found_at_the_issuer(start: Start, receiver: Receiver, certificate: Certificate):
    """The way of a kid: issuer, document, key set, and the token verifies."""
    simulator = start(certificate)
    simulator.perform(APP, simulator.run.world.customers[0].account, "install")
    token = receiver.taken[0].document["jwt"]
    issuer = receiver.taken[0].claims["iss"]
    with site(certificate) as client:
        document = client.get(f"{issuer}/.well-known/openid-configuration").json()
        keys = client.get(document["jwks_uri"]).json()["keys"]
    assert document["issuer"] == issuer
    assert issuer.endswith("/webhook_policies/badge-printer")
    kid = jwt.get_unverified_header(token)["kid"]
    [key] = [jwt.PyJWK(key).key for key in keys if (key["kid"], key["use"]) == (kid, "sig")]
    assert jwt.decode(token, key, algorithms=["ES384"], issuer=issuer)["data"]


def test_only_the_policy_in_discovery_mode_is_found(start: Start, certificate: Certificate):
    """The other app's key is handed out, and published nowhere."""
    simulator = start(certificate)
    base = f"{simulator.run.settings.tls_base}/webhook_policies"
    path = ".well-known/openid-configuration"
    with site(certificate) as client:
        assert client.get(f"{base}/badge-printer/{path}").status_code == 200
        assert client.get(f"{base}/note-dispatcher/{path}").status_code == 404


def test_a_handshake_is_answered(start: Start, receiver: Receiver, certificate: Certificate):
    """The callback verifies the webhook with its code alone; before, the webhook is silent."""
    simulator = start(certificate)
    account = simulator.run.world.customers[0].account
    shown = simulator.control("handshake", {"webhook": 1})
    assert shown["verified"] is False
    simulator.control("settle", {})
    callback = receiver.taken[0].claims["data"]["payload"]["callback"]
    assert callback.startswith(f"{simulator.run.settings.tls_base}/webhooks/1/verify?code=")
    simulator.perform("note-dispatcher", account, "install")
    assert "app_instance.create" not in receiver.events()
    with site(certificate) as client:
        assert client.get(callback.replace("code=", "code=x")).status_code == 403
        assert client.get(callback).status_code == 200
    [webhook] = [one for one in simulator.control("webhooks") if one["id"] == 1]
    assert webhook["verified"] is True
    simulator.perform("note-dispatcher", account, "remove", "reinstall")
    assert "app_instance.create" in receiver.events()


def test_customers_with_a_desk_of_their_own_shake_hands(
    start: Start, receiver: Receiver, certificate: Certificate
):
    """Their policy names its issuer, and their webhook asks to be called back there."""
    simulator = start(certificate)
    name = simulator.run.world.customers[1].account
    simulator.perform("note-dispatcher", name, "install")
    policies = [t.claims["data"]["payload"].get("policy") for t in receiver.taken]
    [policy] = filter(None, policies)
    assert policy["issuer"] == simulator.run.settings.tls_base
    [taken] = [one for one in receiver.taken if one.path.endswith(f"?account={name}")]
    assert taken.claims["data"]["event"] == "webhook.verify"
    assert taken.claims["iss"] == policy["issuer"]
