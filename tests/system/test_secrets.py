"""A customer's secrets, which come once, in the words of 2021: kept, and shown to nobody."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.processes import soon
from tests.system.conftest import OpenInn
from tests.system.marketplaces import Account, Offering, rsa_key, xurrent_app
from tests.system.running import Inn
from tests.system.speaking import Answer

PROVIDER = Account(
    name="wdc",
    domain="4me-staging.invalid",
    key=rsa_key("wdc"),
    audience="integrations provided by wdc@4me-staging.invalid",
)
SIEBEL = Offering(provider=PROVIDER, reference="wdc_siebel", old_vocabulary=True)
INSTANCE, PSEUDO = "xurrent/wdc_siebel/wdc", "xurrent/wdc_siebel/-"
CLIENT_SECRET = "69e4WANiRd-quay-of-2026-ZsNY7NI0ttG5Btx6VBH5KfV03"
BLOCKS: dict[str, Any] = {
    "application": {"nodeID": "NG1l", "client_id": "KDitTs3rk", "client_secret": CLIENT_SECRET},
    "secrets": {"pin": "pin-that-is-nowhere-to-be-seen"},
}
SECRETS = (CLIENT_SECRET, BLOCKS["secrets"]["pin"])
FOLLOW_UP = '[[follow_ups]]\nname = "spill"\non = ["secrets_updated"]\ncall = "acme_hooks:spill"\n'
CALLBACK = "https://wdc.4me-staging.invalid/webhooks/1/verify?code=FThErZe2&expires_at=1614686831"


class Taken(NamedTuple):
    """What was posted and how it was answered."""

    secrets_body: bytes
    secrets: Answer
    handshake_body: bytes
    handshake: Answer


@pytest.fixture(scope="module")
def inn(open_inn: OpenInn) -> Inn:
    """An inn with one app, whose vendor spills the secrets into an error."""
    inn = open_inn(xurrent_app(PROVIDER, "wdc_siebel") + FOLLOW_UP)
    inn.start()
    return inn


@pytest.fixture(scope="module")
def taken(inn: Inn) -> Taken:
    """The two deliveries, once each, and their effects."""
    delivery = {"X-4me-Delivery": "00c7bb4a-b3ba-4744-8126-1e7ef87ef90a"}
    secrets = SIEBEL.secrets_update("wdc", 48289, **BLOCKS)
    handshake = PROVIDER.signed("webhook.verify", {"callback": CALLBACK})
    found = Taken(
        secrets,
        inn.hook("xurrent/wdc_siebel", secrets, **delivery),
        handshake,
        inn.hook("xurrent/wdc_siebel", handshake),
    )
    inn.hook("xurrent/wdc_siebel", b'{"jwt":"' + secrets[9:-8] + b'AAAAAA"}')
    assert soon(lambda: len(inn.get("/dead_letters")) == 2, 30), inn.get("/dead_letters")
    return found


def test_taken_once(inn, taken):
    """202 each, and 200 with the same id the second time."""
    assert (taken.secrets.status, taken.handshake.status) == (202, 202)
    assert _again(inn, taken) == [(200, taken.secrets.delivery), (200, taken.handshake.delivery)]


def test_the_instance_is_in_the_register(inn, taken):
    """Of an instance of which only secrets are known it is said that it is pending."""
    found = inn.get(f"/app_instances/{INSTANCE}")
    assert found["status"] == "pending"
    assert found["app_offering"] == {"reference": "wdc_siebel"}
    assert found["customer_account"]["id"] == "wdc"
    told = inn.told("instances", "show", INSTANCE)
    names = [one["name"] for one in told["secrets"]]
    assert names == [
        "application.client_id", "application.client_secret", "application.nodeID", "secrets.pin",
    ]  # fmt: skip


def test_the_fate_of_the_handshake_is_told(inn, taken):
    """The host of the callback is not there: `explain` and `dead-letters` both say so."""
    (notice,) = inn.told("explain", PSEUDO)["notices"]
    assert notice["delivery"] == taken.handshake.delivery
    (work,) = notice["follow_ups"]
    assert work["state"] == "dead"
    assert "wdc.4me-staging.invalid" in work["error"]
    letters = {one["delivery"]: one for one in inn.told("dead-letters")}
    assert letters[taken.handshake.delivery]["error"] == work["error"]


def test_no_secret_is_told(inn, taken):
    """No answer of the API and no output of a command holds a secret, in any clothing."""
    outputs = {path: inn.api(path).body for path in _paths(inn, taken)}
    for command in _commands(taken):
        ended = inn.cli(*command)
        assert ended.code == 0, ended
        outputs[" ".join(command)] = (ended.out + ended.err).encode()
    assert all(outputs.values())
    assert _spilled(outputs, taken) == []


def test_no_secret_lies_in_clear(inn, taken):
    """Neither a log line nor a file of the data folder holds a secret, in any clothing."""
    files = [inn.log, *(path for path in inn.data.rglob("*") if path.is_file())]
    held = {str(path): path.read_bytes() for path in files}
    assert b"delivery.received" in held[str(inn.log)]
    assert any(taken.secrets.delivery.encode() in held[name] for name in held if "store" in name)
    assert _spilled(held, taken) == []


def test_with_secrets_only_who_asks_for_them(inn, taken):
    """An export holds the body only where it is asked for, in a file for its owner alone."""
    file = inn.folder / "captured.jsonl"
    assert inn.cli("deliveries", "export", "--with-secrets", "--output", file).code == 0
    lines = {one["id"]: one for one in map(json.loads, file.read_text().splitlines())}
    body = base64.b64decode(lines[taken.secrets.delivery]["body_base64"])
    assert body == taken.secrets_body
    # What the tests above look for is found where it is.
    assert _spilled({"file": file.read_bytes(), "body": body}, taken) == ["file", "body"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_after_a_restart(inn, taken):
    """What was taken is known after a restart too, and the register is as it was."""
    before = inn.get("/app_instances")
    assert inn.stop() == 0
    inn.start()
    assert _again(inn, taken) == [(200, taken.secrets.delivery), (200, taken.handshake.delivery)]
    assert inn.get("/app_instances") == before


def _again(inn: Inn, taken: Taken) -> list[tuple[int, str]]:
    answers = [
        inn.hook("xurrent/wdc_siebel", body) for body in (taken.secrets_body, taken.handshake_body)
    ]
    return [(answer.status, answer.delivery) for answer in answers]


def _paths(inn: Inn, taken: Taken) -> list[str]:
    return [
        "/app_instances?fields=id,facts,custom_fields",
        f"/app_instances/{INSTANCE}?fields=id,facts",
        f"/app_instances/{INSTANCE}/transitions",
        f"/integration_instances/{INSTANCE}",
        "/deliveries",
        f"/deliveries/{taken.secrets.delivery}",
        "/rejected",
        "/dead_letters",
        "/metrics",
    ]


def _commands(taken: Taken) -> list[tuple[str, ...]]:
    return [
        ("instances", "show", INSTANCE),
        ("explain", INSTANCE),
        ("deliveries", "show", taken.secrets.delivery),
        ("deliveries", "export"),
        ("dead-letters", "--json"),
        ("rejected",),
    ]


def _spilled(held: dict[str, bytes], taken: Taken) -> list[str]:
    needles = set(_clothed(taken))
    return [name for name, content in held.items() if any(one in content for one in needles)]


def _clothed(taken: Taken) -> Iterator[bytes]:
    """The secrets as they are, in base64 wherever they may begin, and as the token holds them."""
    for secret in SECRETS:
        yield secret.encode()
        for offset in range(3):
            encoded = base64.b64encode(b"." * offset + secret.encode())
            yield encoded[4:-4]
    claims = json.loads(taken.secrets_body)["jwt"].split(".")[1]
    yield claims[-80:].encode()
    yield claims[40:120].encode()
    yield base64.b64encode(taken.secrets_body)[400:480]
