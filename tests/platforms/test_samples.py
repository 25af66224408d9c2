"""Walks `tests/samples/<platform>/<case>`: what came in, and what is made of it.

Adding a case is adding a folder. `headers.json`: the headers; `:path` is where it was sent.
`body.json`: Rebilly's as it is sent; of Xurrent's the claims, the algorithm and whose key signs
them (`@owner ALGORITHM` stands for that owner's public key; `raw`: a body to be sent as it is).
`expected.json`: what is told of the admitted delivery, or why it is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from innkeeper.config import App, Basic, Header, NoCredential, RebillyApp, XurrentApp
from innkeeper.lifecycle.errors import Malformed, Rejected
from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms import inbound_of
from innkeeper.platforms.admission import Admitted, Opened, Request
from tests.keys import key_for, policy_for, private_pem, public_pem, rsa_key
from tests.tokens import sign

NOW = 1767225600.0
SAMPLES = Path(__file__).parent.parent / "samples"
CASES = sorted(
    str(folder.relative_to(SAMPLES)) for folder in SAMPLES.glob("*/*") if folder.is_dir()
)
APPS: tuple[App, ...] = (
    XurrentApp(
        name="tide-tables", reference="tide-tables", account="harbour", domain="xurrent.com"
    ),
    XurrentApp(
        name="moon-phases", reference="moon-phases", account="harbour", domain="xurrent.com"
    ),
    XurrentApp(
        name="star-maps", reference="star-maps", account="observatory", domain="xurrent.com"
    ),
    RebillyApp(
        name="tide-tables",
        reference="app_01TIDES",
        credential=Basic(username="rebilly", password="ebb-and-flow"),
    ),
    RebillyApp(
        name="moon-phases",
        reference="app_02MOON",
        credential=Header(name="X-Harbour-Key", value="low-water"),
    ),
    RebillyApp(name="star-maps", reference="app_03STARS", credential=NoCredential()),
)
_KEY = re.compile(r'"@(private )?([\w-]+)(?: (\w+))?"')


def _pem(match: re.Match[str]) -> str:
    private, owner, algorithm = match.groups()
    key = key_for(algorithm, owner) if algorithm else rsa_key(1024, owner)
    return json.dumps(private_pem(key) if private else public_pem(key))


def _signed(text: str) -> tuple[bytes, str]:
    """The body as it is sent, and the algorithm of the policy that stands against it."""
    sample = json.loads(_KEY.sub(_pem, text))
    if "raw" in sample:
        return sample["raw"].encode(), "RS256"
    algorithm, owner = sample["algorithm"], sample["signed_by"]
    claims = json.dumps(sample["claims"]).encode()
    token = sign(claims, algorithm, key_for(algorithm, owner), sample.get("header"))
    return json.dumps({"jwt": token}).encode(), sample.get("policy_algorithm", algorithm)


def admit(folder: Path) -> Admitted:
    """Post what lies in a folder."""
    headers: dict[str, str] = json.loads((folder / "headers.json").read_text("utf-8"))
    path, _, query = headers.pop(":path").partition("?")
    _, _, platform, *name = path.split("/")
    text = (folder / "body.json").read_text("utf-8")
    body, algorithm = _signed(text) if platform == "xurrent" else (text.encode(), "")
    request = Request(
        platform=platform,
        app=name[0] if name else None,
        query=query,
        headers=tuple((key.lower(), value) for key, value in headers.items()),
        body=body,
    )
    own = [app for app in APPS if app.platform == platform]
    app = next((app for app in own if app.name == request.app), None)
    inbound: Any = inbound_of(platform)
    opened: Opened = inbound.open_request(request, app)
    policies: list[SigningPolicy] = []
    if opened.wanted:
        policies = [policy_for(algorithm, opened.wanted.account or "harbour")]
    admitted: Admitted = inbound.admit(opened, APPS, policies, NOW)
    return admitted


def told(admitted: Admitted, asked: set[str]) -> dict[str, Any]:
    """Of an admitted delivery what `expected.json` speaks of, in its words."""
    event = admitted.event
    found = msgspec.to_builtins(event)
    flags = None if event.flags is None else found.get("flags", {})
    policy = msgspec.to_builtins(event.policy) if event.policy else None
    derived = {
        "instance": str(admitted.instance),
        "kind": str(event.kind),
        "order": str(event.order) if event.order else None,
        "flags": flags,
        "secrets": sorted(event.secrets),
        "stated": sorted(event.stated),
        "mark": str(admitted.mark) if admitted.mark else None,
        "policy": policy
        and {k: v for k, v in policy.items() if "key" not in k and k != "fingerprint"},
        "notes": len(event.notes),
        "signer": admitted.signer,
        "expires_at": admitted.expires_at,
    }
    return {name: derived.get(name, getattr(event, name, None)) for name in asked}


@pytest.mark.parametrize("case", CASES)
def test_sample(case):
    """What came in is admitted as told, or refused for the reason told."""
    expected = json.loads((SAMPLES / case / "expected.json").read_text("utf-8"))
    if "malformed" in expected:
        with pytest.raises(Malformed):
            admit(SAMPLES / case)
    elif "refused" in expected:
        with pytest.raises(Rejected) as raised:
            admit(SAMPLES / case)
        assert raised.value.reason == expected["refused"], raised.value
    else:
        admitted = admit(SAMPLES / case)
        expected["secrets"] = sorted(expected["secrets"])
        assert told(admitted, set(expected)) == expected, admitted.event.notes


def test_tokens_for_an_hour_are_nowhere_in_an_event():
    """Rebilly's token acts as the merchant: it is dropped before anything is kept."""
    admitted = admit(SAMPLES / "rebilly" / "enabled")
    assert b"canary-token" not in msgspec.json.encode(admitted)


def test_no_secret_is_in_what_is_shown_of_an_event():
    """Representations end up in logs: they hold names and never values."""
    for case in ("xurrent/secrets-everything", "rebilly/enabled"):
        assert "canary" not in repr(admit(SAMPLES / case))
        assert "Bergen" not in repr(admit(SAMPLES / case))


def test_of_a_private_key_only_the_public_half_is_kept():
    """What 4me once handed out as a public key goes no further than the check of it."""
    policy = admit(SAMPLES / "xurrent" / "secrets-policy-as-private-key").event.policy
    assert policy == policy_for("ES512", "lighthouse-7")
