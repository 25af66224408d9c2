"""The command line as a whole: its codes, its errors, and that it prints whole lines."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.console.conftest import CONFIGURATION, Cli
from tests.inn import CANARY, Inn, app_event, brings_secrets, handshake, rebilly, states

COMMANDS = (
    "instances", "explain xurrent/notes/acme", "deliveries", "rejected", "dead-letters",
    "policies", "sweep",
)  # fmt: skip


def test_help_is_there_at_once() -> None:
    """Within 0.4 s at this machine's pace, for nothing heavy is imported for it."""
    bare = [sys.executable, "-c", "import typer.main, rich.console"]
    asked = [sys.executable, "-c", "from innkeeper_console.cli import main; main(['--help'])"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    took = []
    for command in (bare, asked):
        times = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run(command, check=True, env=environment, capture_output=True)
            times.append(time.perf_counter() - started)
        took.append(min(times))
    assert took[1] < max(0.4, 2 * took[0])


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_store_it_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Exit 1 and what to do, whether the store is an embedded one or another."""
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/store.sock")
    ended = cli(*command.split())
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "no store runs at unix:///nowhere/store.sock: start `innkeeper up`\n"
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.delenv("INNKEEPER_SECRET_KEYS")
    assert cli(*command.split()).err.endswith("/run/store.sock: start `innkeeper up`\n")


def test_a_wrong_configuration_is_told_whole(cli: Cli, folder: Path) -> None:
    """Every fault on a line of its own; exit 2."""
    (folder / "innkeeper.toml").write_text(CONFIGURATION.replace("rs256", "hs256") + "colour = 1\n")
    for command in ("instances", "check", "receiver", "console", "up"):
        ended = cli(command)
        assert ended.code == 2
        assert [line.partition(":")[0] for line in ended.err.splitlines()] == [
            "apps[0].policy.algorithm",
            "follow_ups[1].colour",
        ]


@pytest.mark.parametrize("command", ["receiver", "worker", "console"])
def test_services_refuse_to_start_without_keys(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Exit 2; the console names the missing token as well."""
    monkeypatch.delenv("INNKEEPER_SECRET_KEYS")
    monkeypatch.delenv("INNKEEPER_API_TOKEN")
    ended = cli(command)
    assert ended.code == 2
    assert "INNKEEPER_SECRET_KEYS: is not set" in ended.err
    assert ("INNKEEPER_API_TOKEN: is not set" in ended.err) is (command == "console")


def test_wrong_usage(cli: Cli) -> None:
    """Unknown commands, options, filters and names of no form: exit 2, said plainly."""
    for command in (
        "nonsense", "instances nonsense", "instances --colour red", "instances --status open",
        "instances --where colour", "instances --sort colour", "instances --fields colour",
        "explain acme", "deliveries --outcome fine", "rejected --reason mood", "replay nowhere",
        "dead-letters requeue", "dead-letters drop 1-a --all",
    ):  # fmt: skip
        ended = cli(*command.split())
        assert (ended.code, ended.out) == (2, ""), command
        assert "╭" not in ended.err


def test_check_imports_the_follow_ups(cli: Cli, folder: Path) -> None:
    """What is missing is told with its path; exit 2."""
    ended = cli("check")
    assert ended.code == 0
    assert ended.out == f"{folder / 'innkeeper.toml'}: fine (2 apps, 2 follow-ups)\n"
    text = CONFIGURATION.replace("acme:provision", "acme:vanished").replace(
        "acme:fail", "acme:NO_FUNCTION"
    )
    more = '[[follow_ups]]\non = ["enabled"]\ncall = "nowhere.acme:provision"\n'
    (folder / "innkeeper.toml").write_text(text + more)
    ended = cli("check", "--json")
    assert ended.code == 2
    faults = {fault["path"]: fault["message"] for fault in ended.document["faults"]}
    assert faults == {
        "follow_ups[0].call": "tests.operations.acme has no vanished",
        "follow_ups[1].call": "tests.operations.acme:NO_FUNCTION is no function",
        "follow_ups[2].call": "nowhere.acme cannot be imported: "
        "ModuleNotFoundError: No module named 'nowhere'",
    }
    assert cli("check").err.count("\n") == 3


def test_instances(cli: Cli, inn: Inn) -> None:
    """`instances` alone lists; `--json` gives the API's documents; `show` names the secrets."""
    assert cli("instances").out == "none\n"
    inn.post(brings_secrets("acme", owner="acme"))
    inn.states("acme")
    inn.states("zulu", suspended=True)
    ended = cli("instances")
    assert [line.split()[:2] for line in ended.out.splitlines()[1:]] == [
        ["xurrent/notes/acme", "enabled"],
        ["xurrent/notes/zulu", "suspended"],
    ]
    assert cli("instances", "list", "--status", "suspended", "--json").document[0]["id"] == (
        "xurrent/notes/zulu"
    )
    assert [
        one["id"] for one in cli("instances", "--json", "--sort=-id", "--fields=id").document
    ] == ["xurrent/notes/zulu", "xurrent/notes/acme"]
    assert len(cli("instances", "--where", "suspended=true", "--json").document) == 1
    limited = cli("instances", "--limit", "1")
    assert limited.err == "there are more than 1: give --limit\n"
    for command in ("instances", "deliveries", "rejected", "dead-letters", "policies"):
        assert [cli(command, "--limit", n).code for n in (0, 100_001)] == [2, 2]
    shown = cli("instances", "show", "xurrent/notes/acme", "--json").document
    assert [one["name"] for one in shown["secrets"]] == [
        "application.client_id",
        "application.client_secret",
    ]
    assert shown["signing_policies"][0]["state"] == "current"
    told = cli("instances", "show", "xurrent/notes/acme").out
    assert "application.client_secret" in told
    assert CANARY not in told
    missing = cli("instances", "show", "xurrent/notes/nobody")
    assert (missing.code, missing.err) == (1, "there is no instance xurrent/notes/nobody\n")


def test_explain_tells_all_on_whole_lines(cli: Cli, inn: Inn) -> None:
    """Facts, secrets, policies, transitions with what they set off, notices, and what waits."""
    inn.post(brings_secrets("acme", owner="acme"))
    inn.states("acme")
    inn.post(states("acme", audit=1))
    inn.post(app_event("acme"))
    inn.states("acme", suspended=True, suspension_comment="unpaid \x1b[31mbill")
    inn.perform()
    waiting = inn.post(states("acme"))
    ended = cli("explain", "xurrent/notes/acme")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("xurrent/notes/acme is suspended: it is suspended: unpaid \\x1b")
    for part in (
        "  confirmed", "  application.client_secret since ", "  current ", "installed (unknown →",
        "follow-up provision: done, attempts 1", "follow-up fail: dead, attempts 1",
        "last error: Permanent: no room for", ", signed by ", "  app_event", "stale, order audit:1",
        "waiting, order audit:", waiting,
    ):  # fmt: skip
        assert any(part in line for line in lines), part
    assert CANARY not in ended.out
    assert max(map(len, lines)) > 120
    document = cli("explain", "xurrent/notes/acme", "--json").document
    assert [one["name"] for one in document["transitions"]] == [
        "installed", "enabled", "suspended",
    ]  # fmt: skip
    assert document["transitions"][1]["follow_ups"][0]["state"] == "done"
    assert document["waiting"]["deliveries"][0]["id"] == waiting


def test_explain_tells_the_fate_of_a_handshake(cli: Cli, inn: Inn) -> None:
    """A provider's handshake belongs to no instance; its code is in nothing that is printed."""
    inn.post(handshake())
    inn.apply()
    inn.perform()
    ended = cli("explain", "xurrent/notes/-")
    assert ended.code == 0
    assert "follow-up handshake: " in ended.out
    letters = cli("dead-letters", "--json").document
    assert "secret-code" not in ended.out + json.dumps(letters)
    assert (
        cli("explain", "xurrent/notes/nobody").err == "nothing is known of xurrent/notes/nobody\n"
    )


def test_explain_names_a_doubt(cli: Cli, inn: Inn) -> None:
    """What rests on a hint is unconfirmed, and why."""
    inn.post(rebilly("enabled"))
    inn.apply()
    ended = cli("explain", "rebilly/tides/org-1")
    assert "  unconfirmed: what holds rests on a statement that nothing proves" in ended.out
    assert CANARY not in ended.out


def test_deliveries(cli: Cli, inn: Inn) -> None:
    """Listed, unrouted ones picked out, and one shown."""
    first = inn.post(states("acme"))
    unrouted = inn.post(states("acme", reference="nobodys"))
    secret = inn.post(brings_secrets("acme"))
    inn.apply()
    listed = [line.split()[0] for line in cli("deliveries").out.splitlines()[1:]]
    assert listed == [secret, unrouted, first]
    assert [one["id"] for one in cli("deliveries", "--unrouted", "--json").document] == [unrouted]
    shown = cli("deliveries", "show", secret)
    assert "event.secrets" in shown.out
    assert CANARY not in shown.out
    assert cli("deliveries", "show", "1-a").code == 1


def test_export_withholds_secrets(cli: Cli, inn: Inn, folder: Path) -> None:
    """Bodies that hold secrets only with `--with-secrets`, and then in a private file."""
    for request in (brings_secrets("acme", "acme"), states("acme"), rebilly(), rebilly("disabled")):
        inn.post(request)
    inn.apply()
    inn.post(app_event("acme"))
    ended = cli("deliveries", "export")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [line.get("withheld", False) for line in lines] == [True, False, True, False, False]
    assert ["body_base64" in line for line in lines] == [False, True, False, True, True]
    assert ended.err == "5 exported, 2 of them without the body (--with-secrets)\n"
    assert "authorization" not in ended.out
    assert set(lines[1]) == {
        "id", "received_at", "platform", "app", "query", "headers", "body_base64",
    }  # fmt: skip
    assert lines[4]["query"] == "account=acme"
    target = folder / "all.jsonl"
    ended = cli("deliveries", "export", "--with-secrets", "--output", target)
    assert (ended.code, ended.out, target.stat().st_mode & 0o777) == (0, "", 0o600)
    whole = [json.loads(line) for line in target.read_text().splitlines()]
    assert b"client_secret" in base64.b64decode(
        json.loads(base64.b64decode(whole[0]["body_base64"]))["jwt"].split(".")[1] + "=="
    )


def test_dead_letters(cli: Cli, inn: Inn) -> None:
    """Listed, shown with a redacted traceback, requeued, dropped."""
    inn.post(brings_secrets("acme"))
    inn.states("acme", suspended=True)
    inn.perform()
    (letter,) = cli("dead-letters", "--json").document
    assert "[redacted]" in letter["error"]
    shown = cli("dead-letters", "show", letter["id"])
    assert "Traceback" in shown.out
    assert CANARY not in shown.out
    assert letter["id"] in cli("dead-letters", "requeue", letter["id"]).out
    assert cli("dead-letters").out == "none\n"
    inn.perform()
    assert len(cli("dead-letters", "requeue", "--all", "--json").document) == 1
    inn.perform()
    assert cli("dead-letters", "drop", "--all").code == 0
    assert cli("dead-letters", "drop", letter["id"]).err.startswith("there is no dead letter")


def test_sweep_counts_what_is_due(cli: Cli, inn: Inn) -> None:
    """Partitions behind, those with work due, those that stand."""
    inn.states("acme")
    inn.post(states("zulu"))
    document = cli("sweep", "--json").document
    assert document == {
        "partitions_behind": 1,
        "partitions_due_perform": 1,
        "partitions_due_marketplaces": 0,
        "partitions_stopped": 0,
    }


def test_follow_ups(cli: Cli) -> None:
    """The configured ones, without a store."""
    assert [one["name"] for one in cli("follow-ups", "--json").document] == ["provision", "fail"]
    assert "call tests.operations.acme:fail" in cli("follow-ups").out
