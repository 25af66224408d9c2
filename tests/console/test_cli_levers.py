"""`innkeeper offerings`, `installations` and `connect`, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.settings import Settings
from tests.console.conftest import CONFIGURATION, Cli
from tests.simulator.conftest import free_port
from tests.simulator.running import Simulator, simulator

OFFERING = (
    "--set", "name=Tide tables", "--set", "policy_jwt_alg=rs256", "--set",
    'service_instance={"id": 83}', "--set", "webhook_uri_template=https://a.example/",
)  # fmt: skip


@pytest.fixture(scope="module")
def market() -> Iterator[Simulator]:
    """Marketplaces on which nothing is connected yet."""
    settings = Settings(port=free_port(), tls_port=None, connected=False, receiver="http://[::1]:1")
    with simulator(settings) as running:
        yield running


@pytest.fixture(autouse=True)
def configured(folder: Path, market: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inn's apps with the simulator's APIs, and a plugin."""
    base = market.run.settings.base
    xurrent = f"""
[apps.api]
client_id = "simulated-client"
client_secret_env = "XURRENT_SECRET"
base_url = "{base}/xurrent/v1"
oauth_url = "{base}/xurrent/token"
"""
    others = f"""
[apps.api]
api_key_env = "REBILLY_API_KEY"
base_url = "{base}/rebilly/organizations/org_vendor"

[[apps]]
platform = "xandr"
name = "deals"
reference = "20"
[apps.api]
username_env = "XANDR_USER"
password_env = "XANDR_PASSWORD"
base_url = "{base}/xandr"
"""
    text = CONFIGURATION.replace("xurrent.com", "xurrent.example")
    text = text.replace('key_file = "wdc.pem"\n', f'key_file = "wdc.pem"\n{xurrent}')
    text = text.replace("\n[[follow_ups]]", f"{others}\n[[follow_ups]]", 1)
    public = '[receiver]\npublic_url = "http://127.0.0.1:1"\n'
    (folder / "innkeeper.toml").write_text(public + text)
    for name, value in (
        ("XURRENT_SECRET", "simulated-client-secret"),
        ("REBILLY_API_KEY", "simulated-api-key"),
        ("XANDR_USER", "simulated-user"),
        ("XANDR_PASSWORD", "simulated-password"),
    ):
        monkeypatch.setenv(name, value)


def test_offerings_are_made_listed_shown_and_changed(cli: Cli) -> None:
    """By name or platform/name; `list` may be left out."""
    made = cli("offerings", "create", "notes", *OFFERING, "--json")
    assert (made.code, made.err) == (0, "")
    assert made.document["reference"] == "wdc_tide_tables"
    id_ = made.document["id"]
    changed = cli("offerings", "update", "notes", id_, "--set", "disabled=true", "--json")
    assert changed.document["disabled"] is True
    listed = cli("offerings", "xurrent/notes", "--json").document
    assert id_ in [one["id"] for one in listed]
    assert "Tide tables" in cli("offerings", "list", "notes").out
    assert "disabled" in cli("offerings", "show", "notes", id_).out


def test_all_faults_of_an_offering_are_told(cli: Cli, folder: Path) -> None:
    """A line each, exit 2; so is what is no field or no file, and an app that is not there."""
    (folder / "wrong.json").write_text(json.dumps({"name": "", "policy_jwt_alg": "hs256"}))
    ended = cli("offerings", "create", "notes", "--file", "wrong.json", "--set", "colour=red")
    assert ended.code == 2
    names = [line.partition(":")[0] for line in ended.err.splitlines()]
    assert sorted(names) == [
        "colour", "name", "policy_jwt_alg", "service_instance", "webhook_uri_template",
    ]  # fmt: skip
    for arguments in (
        "create notes --set colour",
        "create notes --file nowhere.json",
        "list nobody",
    ):
        assert cli("offerings", *arguments.split()).code == 2
    for arguments in ("show notes 999", "list deals", "update tides x --set a=b"):
        assert cli("offerings", *arguments.split()).code == 1


def test_an_application_is_registered(cli: Cli, folder: Path) -> None:
    """Rebilly's word for an offering."""
    fields = {
        "name": "Ebb", "logoId": "logo", "authorName": "A", "tagline": "t", "description": "d",
        "permissions": ["GetCustomer"],
    }  # fmt: skip
    (folder / "ebb.json").write_text(json.dumps(fields))
    made = cli("offerings", "create", "tides", "--file", "ebb.json", "--json")
    assert (made.code, made.document["status"]) == (0, "pending-approval")
    assert "Ebb" in cli("offerings", "tides").out
    assert cli("offerings", "create", "tides", "--set", "name=Flow").code == 2


def test_installations_are_made_changed_and_deleted(cli: Cli) -> None:
    """Those of the app's own plugin alone."""
    made = cli(
        "installations", "create", "deals", "--set", "subscriber_entity_id=99001", "--set",
        "subscriber_entity_type=member", "--json",
    )  # fmt: skip
    assert (made.code, made.err) == (0, "")
    id_ = made.document["id"]
    changed = cli("installations", "update", "deals", id_, "--set", "addendum=new", "--json")
    assert changed.document["addendum"] == "new"
    assert str(id_) in cli("installations", "deals").out
    assert cli("installations", "show", "deals", id_, "--json").document["addendum"] == "new"
    assert cli("installations", "delete", "deals", id_).code == 0
    assert cli("installations", "show", "deals", id_).code != 0
    assert cli("installations", "create", "deals").code == 2
    assert cli("installations", "notes").code == 1


def test_connect_tells_what_it_does(cli: Cli, folder: Path) -> None:
    """And what belongs into the configuration; again, it changes nothing."""
    first = cli("connect", "notes")
    assert (first.code, first.err) == (0, "")
    (path,) = (folder / ".innkeeper" / "keys").iterdir()
    assert f"its public key, shown once, is in {path}" in first.out
    assert f'\n[apps.policy]\nalgorithm = "rs256"\nkey_file = "{path}"\n' in first.out
    assert first.out.count("made the webhook ") == 5
    second = cli("connect", "notes")
    assert second.out.endswith("nothing was changed\n")
    document = cli("connect", "notes", "--json").document
    assert (document["changed"], len(document["unchanged"])) == ([], 5)
    assert document["key_file"] == str(path)


def test_connect_says_what_is_wrong(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 1 for the marketplace's refusal, 2 for an app that is not there; no secret is told."""
    monkeypatch.setenv("XURRENT_SECRET", "wrong-secret")
    ended = cli("connect", "notes")
    assert (ended.code, ended.out) == (1, "")
    assert "invalid_client" in ended.err
    assert "wrong-secret" not in ended.err
    assert cli("connect", "nobody").code == 2
