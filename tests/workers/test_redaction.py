"""Redaction: no secret of a customer or of ours stands in what people will read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from innkeeper.config import (
    Basic,
    Config,
    FollowUp,
    Header,
    RebillyApi,
    RebillyApp,
    XandrApi,
    XandrApp,
    XurrentApi,
)
from innkeeper_workers.redaction import REDACTED, redacted
from tests.deliveries import lifecycle, token, xurrent_app
from tests.keys import key_for, private_pem, public_pem

NONE = Config(data=Path("/nowhere"))
AWKWARD = "a\"b\\c'd\ne\tf/ü+&=g"
OURS = {
    "api token": "api-token-1",
    "second api token": "api-token-2",
    "secrets token": "secrets-token",
    "follow-up": "whsec-without-its-mark",
    "basic": "rebilly-password",
    "header": "header-value",
    "rebilly": "sk_live_rebilly",
    "client secret": "client-secret",
    "token": "personal-token",
    "xandr": "xandr-password",
    "key ring": base64.b64encode(bytes(range(32))).decode(),
}


def full_config() -> Config:
    """A configuration with a secret wherever one can stand."""
    xurrent = XurrentApi(
        base_url="https://x", oauth_url="https://x", client_id="public",
        client_secret=OURS["client secret"], token=OURS["token"],
    )  # fmt: skip
    rebilly = RebillyApi(base_url="https://x", api_key=OURS["rebilly"])
    xandr = XandrApi(base_url="https://x", username="robot", password=OURS["xandr"])
    basic = Basic(username="rebilly", password=OURS["basic"])
    return Config(
        data=Path("/nowhere"),
        apps=(
            xurrent_app(api=xurrent),
            RebillyApp(name="a", reference="a", credential=basic, api=rebilly),
            RebillyApp(
                name="b", reference="b", credential=Header(name="X-Key", value=OURS["header"])
            ),
            XandrApp(name="c", reference="20", api=xandr),
        ),
        follow_ups=(
            FollowUp(name="f", on=("enabled",), post="https://x", secret=OURS["follow-up"]),
        ),
        secret_keys=(bytes(range(32)),),
        api_tokens=(OURS["api token"], OURS["second api token"]),
        secrets_token=OURS["secrets token"],
    )


@pytest.mark.parametrize("where", OURS)
def test_our_own_secrets_are_taken_out(where: str):
    """Each secret of the configuration, wherever in the text it stands."""
    told = redacted(f"KeyError: {OURS[where]}, and '{OURS[where]}'", full_config())
    assert told == f"KeyError: {REDACTED}, and '{REDACTED}'"


@pytest.mark.parametrize(
    "written",
    [
        lambda value: value,
        repr,
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: quote(value, safe=""),
    ],
    ids=["plain", "repr", "json in ASCII", "json", "url"],
)
def test_a_customers_secret_is_taken_out_however_it_is_written(written):
    """As it is, and as tracebacks, JSON and URLs write it."""
    text = f"failed with {written(AWKWARD)}!"
    told = redacted(text, NONE, {"application.client_secret": AWKWARD})
    assert REDACTED in told
    for piece in ("d\\n", "\\u00fc", "ü", "%C3%BC", "+&="):
        assert piece not in told


def test_secrets_inside_of_secrets_are_taken_out():
    """Lists, objects and numbers too; names and short values stay readable."""
    secrets = {"settings": {"pins": [123456, "abcdef"], "on": True, "none": None, "x": "ab"}}
    told = redacted("123456 abcdef True None ab settings", NONE, secrets)
    assert told == f"{REDACTED} {REDACTED} True None ab settings"


def test_the_longer_secret_goes_first():
    """Where one secret is the beginning of another, no tail of the other stays."""
    told = redacted("abcd-efgh and abcd", NONE, ["abcd", "abcd-efgh"])
    assert told == f"{REDACTED} and {REDACTED}"


@pytest.mark.parametrize(
    "secret",
    [
        token(lifecycle()),
        token(lifecycle())[:-300],
        private_pem(key_for("ES256")),
        private_pem(key_for("RS256"))[:200],
        public_pem(key_for("RS256")),
        "whsec_c2VjcmV0LXNlY3JldA==",
        "Bearer abcdefghijk123",
        "bearer  abcdefghijk123",
        "Basic cmViaWxseTpwYXNz",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(secret: str):
    """Tokens, keys and credentials that we do not know."""
    told = redacted(f"before {secret.strip()}", NONE)
    assert told == f"before {REDACTED}"


def test_a_password_in_a_url_is_taken_out():
    """The host stays, for it may tell what is wrong."""
    told = redacted("rediss://user:pa55word@store.example:6379/0", NONE)
    assert "pa55word" not in told
    assert "store.example:6379" in told


def test_a_traceback_stays_readable():
    """Nothing is taken out of ordinary text."""
    text = (
        'File "/srv/vendor/hooks.py", line 7, in provision\n    raise ValueError("no basic plan")'
    )
    assert redacted(text, full_config(), {"a": "unrelated"}) == text


def test_the_end_is_kept():
    """Of what is too long the last part stays, where the error stands; cut after redacting."""
    secret = "very-secret-value"
    text = secret + "x" * 15_990 + " end"
    told = redacted(text, NONE, [secret])
    assert len(told) == 16_000
    assert told.endswith(" end")
    assert "secret" not in told
