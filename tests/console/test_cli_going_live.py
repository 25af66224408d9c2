"""`innkeeper reconcile`, `import` and `follow-ups run`, and what `/health` says of the apps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from innkeeper.config import load_config
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.reconcile import Pass
from innkeeper_console.api import create_app
from tests.conftest import MakeDesk
from tests.console.conftest import CONFIGURATION, Cli
from tests.inn import CANARY, Inn
from tests.platforms.apis import Api, said
from tests.sites import site

LIST, TOKEN = "/v1/app_instances", "personal-token-of-the-inn"


@pytest.fixture
def api(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of `notes`, which is configured with it; two customers."""
    with site() as running:
        found = Api(running)
        stated = f'[apps.api]\ntoken_env = "NOTES_TOKEN"\nbase_url = "{found.url}/v1"\n\n'
        removals = "[apps.removals]\nshare = 0.1\nat_least = 1\n\n"
        first, rest = CONFIGURATION.split("[[apps]]", 2)[1:]
        text = f"[[apps]]{first}{stated}{removals}[[apps]]{rest}"
        (folder / "innkeeper.toml").write_text(text)
        monkeypatch.setenv("NOTES_TOKEN", TOKEN)
        listed(found, 2)
        yield found


def listed(api: Api, count: int) -> None:
    """The list shows this many customers."""
    flags = {"disabled": False, "suspended": False, "enabled_by_customer": True}
    rows = [
        {"id": n, "app_offering": {"reference": "notes"}, "customer_account": {"id": f"c{n}"}}
        | flags
        for n in range(1, count + 1)
    ]
    api.answers(LIST, said(rows, "200 OK", f"X-Pagination-Total-Entries: {count}"))


class TestReconcile:
    """The command."""

    def test_it_reports_what_differed(self, cli: Cli, api: Api, inn: Inn) -> None:
        """As a table or as one document; exit 0 where all of it was mended."""
        ended = cli("reconcile", "--json")
        assert ended.code == 0
        (one,) = ended.document
        assert (one["app"], one["outcome"], one["adopted"]) == ("notes", "ended", 2)
        inn.apply()
        ended = cli("reconcile", "notes")
        assert ended.code == 0
        assert ended.out.splitlines()[0].split()[:4] == ["platform", "app", "seen", "adopted"]
        assert ended.out.splitlines()[1].split()[:4] == ["xurrent", "notes", "2", "0"]
        assert "xurrent/notes/c1 has given no secrets" in ended.out

    def test_a_pass_that_broke_off(self, cli: Cli, api: Api) -> None:
        """Exit 1, with the marketplace's words and without our token."""
        api.answers(LIST, said({"message": f"{TOKEN} is not known"}, "401 Unauthorized"))
        ended = cli("reconcile")
        assert ended.code == 1
        assert "broke off" in ended.out
        assert "xurrent/notes: Refused: " in ended.err
        assert TOKEN not in ended.out + ended.err

    def test_held_removals(self, cli: Cli, api: Api, inn: Inn) -> None:
        """Exit 1 until an operator accepts them."""
        cli("reconcile")
        inn.apply()
        listed(api, 1)
        ended = cli("reconcile")
        assert ended.code == 1
        assert "1 have vanished at once and are held" in ended.out
        assert cli("reconcile", "--accept-removals").code == 0
        inn.apply()
        line = inn.desk.register.line(InstanceKey("xurrent", "notes", "c2"))
        assert line is not None
        assert line.instance.status == "removed"

    def test_a_pass_under_way(self, cli: Cli, api: Api, make_desk: MakeDesk) -> None:
        """Is left alone: exit 1."""
        config = load_config(Path("innkeeper.toml"), os.environ)
        app = config.app("xurrent", "notes")
        assert app is not None
        steps = Pass(make_desk(config), app).steps()
        next(steps)
        ended = cli("reconcile")
        steps.close()
        assert (ended.code, api.paths.count(f"GET {LIST}")) == (1, 1)
        assert "a pass over xurrent/notes is under way" in ended.err

    def test_wrong_usage(self, cli: Cli, folder: Path) -> None:
        """An app that is not configured, or has no API: exit 2."""
        assert cli("reconcile", "gone").code == 2
        assert cli("reconcile", "notes").code == 2
        assert cli("reconcile").code == 2


def test_health_tells_how_the_apps_are(cli: Cli, api: Api, make_desk: MakeDesk, inn: Inn) -> None:
    """Without a customer or a secret in it; the marketplace's words to operators alone."""
    desk = make_desk(load_config(Path("innkeeper.toml"), os.environ))
    with TestClient(create_app(desk)) as client:
        (app,) = client.get("/health").json()["apps"]
        assert (app["platform"], app["app"], app["state"]) == ("xurrent", "notes", "waiting")
        cli("reconcile")
        (app,) = client.get("/health").json()["apps"]
        assert (app["state"], app["secrets_missing"]) == ("ok", 2)
        api.answers(LIST, said({"message": "not you"}, "403 Forbidden"))
        cli("reconcile")
        stranger = client.get("/health")
        answer = client.get("/health", headers={"authorization": "Bearer token-1"})
    assert "error" not in stranger.json()["apps"][0]
    assert "not you" not in stranger.text
    (app,) = answer.json()["apps"]
    assert answer.json()["status"] == "ok"
    assert (app["state"], app["failures"]) == ("failing", 1)
    assert "not you" in app["error"]
    assert app["next_try_at"] > app["last_pass_at"]
    assert "c1" not in answer.text
    assert TOKEN not in answer.text


class TestImport:
    """The command."""

    def test_it_imports_once(self, cli: Cli, folder: Path, inn: Inn) -> None:
        """And warns of a file that others may read."""
        file = folder / "customers.jsonl"
        line = {"platform": "xurrent", "app": "notes", "account": "acme"}
        file.write_text(json.dumps(line | {"application": {"client_secret": CANARY}}))
        file.chmod(0o644)
        ended = cli("import", file)
        assert (ended.code, ended.out) == (0, "accepted 1, duplicate 0, failed 0\n")
        assert "others may read it" in ended.err
        file.chmod(0o600)
        ended = cli("import", file, "--json")
        assert (ended.code, ended.err) == (0, "")
        assert ended.document == {"accepted": 0, "duplicate": 1, "failed": 0, "faults": []}
        inn.apply()
        assert CANARY not in cli("instances", "show", "xurrent/notes/acme").out

    def test_wrong_lines_are_told(self, cli: Cli, folder: Path) -> None:
        """With their number; exit 1, and never what stands in them."""
        file = folder / "customers.jsonl"
        file.touch(0o600)
        file.write_text('\n{"platform": "xurrent", "app": "notes", "account": "a b"}\n{"' + CANARY)
        ended = cli("import", file)
        assert (ended.code, ended.out) == (1, "accepted 0, duplicate 0, failed 2\n")
        assert [text.partition(":")[0] for text in ended.err.splitlines()[-2:]] == [
            "line 2", "line 3",
        ]  # fmt: skip
        assert CANARY not in ended.out + ended.err


def test_follow_ups_run(cli: Cli, inn: Inn) -> None:
    """Says for how many; refuses what is not there."""
    inn.states("acme")
    arguments = ("follow-ups", "run", "provision", "--app", "notes", "--status")
    ended = cli(*arguments, "enabled")
    assert (ended.code, ended.out) == (0, "provision is set off for 1 instances\n")
    assert cli(*arguments, "enabled", "--json").document == {
        "follow_up": "provision", "instances": 1,
    }  # fmt: skip
    assert cli(*arguments, "asleep").code == 2
    assert cli("follow-ups", "run", "gone", "--app", "notes", "--status", "enabled").code == 2
    help_ = cli("follow-ups", "run", "--help").out
    assert "twice sets off twice" in " ".join(help_.split())
