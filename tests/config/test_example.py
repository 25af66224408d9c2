"""The example that a new user copies."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

from innkeeper.config import RebillyApp, XurrentApp, load_config

EXAMPLE = Path(__file__).parents[2] / "innkeeper.example.toml"


def test_the_example_loads(tmp_path: Path, rsa_pem: str) -> None:
    """Once its key file and its variables exist, it has no fault."""
    shutil.copy(EXAMPLE, tmp_path / "innkeeper.toml")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/xurrent.pem").write_text(rsa_pem)
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    environ = {"REBILLY_HOOK_PASSWORD": "p", "ACME_HOOK_SECRET": secret}
    config = load_config(None, environ)
    assert [type(app) for app in config.apps] == [XurrentApp, RebillyApp]
    assert [bool(follow_up.call) for follow_up in config.follow_ups] == [True, False]
