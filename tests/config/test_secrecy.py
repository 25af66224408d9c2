"""Secrets of the configuration are shown by nothing."""

from __future__ import annotations

import base64
from io import StringIO

from rich.console import Console
from rich.pretty import pprint

from tests.config.conftest import FaultsOf, Load

CANARY = "canary-5ad2"
HOOK_SECRET = "whsec_" + base64.b64encode(CANARY.encode() * 3).decode()
TEXT = """
[store]
url = "redis://:canary-5ad2@h"
[queue]
url = "redis://:canary-5ad2@h"
[[apps]]
platform = "xurrent"
reference = "a"
account = "a"
domain = "xurrent.com"
policy = {discovery = true}
[apps.api]
client_id = "c"
client_secret_env = "CANARY"
[[apps]]
platform = "xurrent"
reference = "b"
account = "a"
domain = "xurrent.com"
[apps.api]
token_env = "CANARY"
[[apps]]
platform = "rebilly"
reference = "a"
[apps.credentials]
type = "basic"
username = "u"
password_env = "CANARY"
[apps.api]
api_key_env = "CANARY"
[[apps]]
platform = "rebilly"
reference = "b"
[apps.credentials]
type = "header"
name = "X"
value_env = "CANARY"
[[apps]]
platform = "xandr"
reference = "1"
[apps.api]
username_env = "CANARY"
password_env = "CANARY"
[[follow_ups]]
on = ["enabled"]
post = "https://a.example"
secret_env = "HOOK_SECRET"
"""
ENVIRON = {
    "CANARY": CANARY,
    "HOOK_SECRET": HOOK_SECRET,
    "INNKEEPER_SECRET_KEYS": base64.b64encode(b"canary-5ad2".ljust(32)).decode(),
    "INNKEEPER_API_TOKEN": CANARY,
    "INNKEEPER_SECRETS_TOKEN": CANARY + "-2",
}


def test_representations_hide_secrets(load: Load) -> None:
    """No secret is in the representation of the configuration, plain or as rich prints it."""
    config = load(TEXT, ENVIRON)
    pretty = StringIO()
    pprint(config, console=Console(file=pretty, width=200), expand_all=True)
    for shown in (repr(config), str(config), pretty.getvalue()):
        assert CANARY not in shown
        assert HOOK_SECRET[:12] not in shown
        assert "xurrent.com" in shown


def test_faults_hide_secrets(faults_of: FaultsOf) -> None:
    """No secret is in a message, though it be wrong or stand in the wrong place."""
    text = f"""
        [store]
        url = "http://:{CANARY}@h"
        [receiver]
        public_url = "https://u:{CANARY}@h"
        [[apps]]
        platform = "rebilly"
        reference = "a"
        [apps.credentials]
        type = "basic"
        username = "u"
        password_env = "{CANARY}"
        password = "{CANARY}"
        [[follow_ups]]
        on = ["enabled"]
        post = "https://{CANARY}@a.example"
        secret_env = "HOOK_SECRET"
    """
    environ = {
        "HOOK_SECRET": CANARY,
        "INNKEEPER_SECRET_KEYS": CANARY,
        "INNKEEPER_API_TOKEN": CANARY + "ä",
        "INNKEEPER_SECRETS_TOKEN": CANARY + "ö",
        "REDIS_URL": CANARY,
    }
    found = faults_of(text, environ)
    assert len(found) == 10
    assert CANARY not in str(found)
