"""An inn on the real store, the console's API over it, and the command line beside it."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

from innkeeper_console.api import create_app
from innkeeper_console.cli import main
from tests.conftest import KEY, MakeDesk
from tests.inn import PASSWORD, Inn, config_of
from tests.keys import key_for, public_pem

CONFIGURATION = """
[[apps]]
platform = "xurrent"
reference = "notes"
account = "wdc"
domain = "xurrent.com"
[apps.policy]
algorithm = "rs256"
key_file = "wdc.pem"

[[apps]]
platform = "rebilly"
name = "tides"
reference = "app_tides"
[apps.credentials]
type = "basic"
username = "rebilly"
password_env = "TIDES_PASSWORD"

[[follow_ups]]
name = "provision"
on = ["enabled"]
call = "tests.operations.acme:provision"

[[follow_ups]]
name = "fail"
on = ["suspended"]
call = "tests.operations.acme:fail"
"""


@pytest.fixture
def inn(make_desk: MakeDesk, tmp_path: Path) -> Inn:
    """The usual configuration with two tokens, nothing stored."""
    return Inn(make_desk(config_of(tmp_path, api_tokens=("token-1", "token-2"))))


@pytest.fixture
def api(inn: Inn) -> Iterator[TestClient]:
    """Asks with a valid token."""
    headers = {"authorization": "Bearer token-1"}
    with TestClient(create_app(inn.desk), headers=headers, raise_server_exceptions=False) as client:
        yield client


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that it printed."""
        return json.loads(self.out)


Cli = Callable[..., Ended]


@pytest.fixture
def folder(tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the inn's configuration, whose store is the session's."""
    (tmp_path / "wdc.pem").write_text(public_pem(key_for("RS256")))
    (tmp_path / "innkeeper.toml").write_text(CONFIGURATION)
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("REDIS_URL", valkey_url),
        ("INNKEEPER_SECRET_KEYS", base64.b64encode(KEY).decode()),
        ("INNKEEPER_API_TOKEN", "token-1"),
        ("TIDES_PASSWORD", PASSWORD),
    ):
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def cli(folder: Path, inn: Inn, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs `innkeeper` with these arguments, in this process."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Ended(int(code or 0), out, err)

    return run
