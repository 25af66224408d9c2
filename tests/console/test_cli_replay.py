"""`innkeeper replay` and `rejected retry`, against a real receiver process."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from innkeeper.operations.captured import write_line
from innkeeper.operations.deliveries import Question, export_deliveries
from tests.console.conftest import Cli
from tests.inn import Inn, app_event, brings_secrets, key_of, rebilly, signed, states
from tests.keys import key_for, private_pem
from tests.processes import free_port, python, soon

RECEIVER = "from innkeeper_console.cli import main; main(['receiver'])"


@pytest.fixture
def receiver(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A receiver on the session's store; its URL, which is the local one of the configuration."""
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("INNKEEPER_RECEIVER_BIND", address)
    with python(RECEIVER, cwd=folder) as process:

        def ready() -> bool:
            try:
                return bool(
                    urllib.request.urlopen(f"http://{address}/health/ready", timeout=1).status
                    == 200
                )
            except OSError:
                return False

        assert soon(ready)
        yield f"http://{address}"
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def file(inn: Inn, folder: Path) -> Path:
    """What came in one day, as a file; the store is empty again but for its layout."""
    inn.post(brings_secrets("acme", owner="acme"))
    inn.apply()
    inn.post(states("acme"))
    inn.post(app_event("acme"))
    inn.post(rebilly())
    inn.apply()
    lines = export_deliveries(inn.desk, Question(), with_secrets=True)
    path = folder / "day.jsonl"
    path.write_bytes(b"".join(map(write_line, lines)))
    return path


def test_posts_what_was_signed_as_it_was(cli: Cli, inn: Inn, receiver: str, file: Path) -> None:
    """Known deliveries are duplicates; a credential is put on from the configuration."""
    ended = cli("replay", file)
    assert ended.out == "accepted 1, duplicate 3, rejected 0, failed 0, withheld 0\n"
    assert ended.code == 0
    inn.apply()
    outcomes = {e["outcome"] for e in cli("deliveries", "--platform=rebilly", "--json").document}
    assert outcomes == {"applied", "unchanged"}


def test_resigned_deliveries_are_new_ones(
    cli: Cli, inn: Inn, receiver: str, file: Path, folder: Path
) -> None:
    """With a test key of the provider's they are accepted, but not what the customer signed."""
    key = folder / "test.pem"
    key.write_text(private_pem(key_for("RS256")))
    ended = cli("replay", file, "--resign", key, "--to", receiver, "--json")
    counts = ended.document
    # The first two carry an audit line: whoever signs them, the data is the same.
    assert (counts["duplicate"], counts["accepted"], counts["rejected"]) == (2, 1, 1)
    assert ended.code == 1
    assert counts["faults"] == [{"line": 3, "why": "answered 401"}]


def test_counts_what_fails(cli: Cli, file: Path, folder: Path) -> None:
    """Nobody answers, lines that are none, and an address that http may not go to: exit 1 and 2."""
    with file.open("ab") as end:
        end.write(b"nonsense\n")
        end.write(json.dumps({"platform": "xurrent", "withheld": True}).encode() + b"\n")
    ended = cli("replay", file, "--to", "http://127.0.0.1:9")
    assert ended.out == "accepted 0, duplicate 0, rejected 0, failed 5, withheld 1\n"
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("line 5: not a captured delivery")
    ended = cli("replay", file, "--to", "http://hooks.example")
    assert (ended.code, ended.err.startswith("--to: ")) == (2, True)
    assert cli("replay", file, "--into-log", "--to", "http://127.0.0.1:9").code == 2
    assert cli("replay", file, "--follow-ups").code == 2
    assert cli("replay", file, "--resign", file).code == 2


def test_into_log_and_dry_run(cli: Cli, inn: Inn, file: Path) -> None:
    """A dry run tells each instance that would change; into the log only once."""
    inn.desk.store.command("FLUSHALL")
    ended = cli("replay", file, "--dry-run")
    assert [line.split()[:3] for line in ended.out.splitlines()[1:3]] == [
        ["rebilly/tides/org-1", "-", "enabled"],
        ["xurrent/notes/acme", "-", "enabled"],
    ]
    assert cli("replay", file, "--dry-run", "--json").document["changes"][1]["to_status"] == (
        "enabled"
    )
    assert cli("replay", file, "--into-log").out.startswith("accepted 4, duplicate 0")
    assert cli("replay", file, "--into-log").out.startswith("accepted 0, duplicate 4")
    inn.apply()
    assert inn.desk.register.line(key_of()) is not None


def test_refused_deliveries_are_listed_and_retried(cli: Cli, inn: Inn) -> None:
    """What still proves nothing is told, with exit 1."""
    request = app_event("acme")
    inn.post(brings_secrets("acme", owner="old"))
    inn.apply()
    inn.refuse(request)
    inn.refuse(signed({"event": "app_instance.update"}, owner="stranger"))
    listed = cli("rejected", "--json").document
    assert [one["reason"] for one in listed] == ["bad_signature", "bad_signature"]
    assert "bad_signature" in cli("rejected", "show", listed[0]["id"]).out
    inn.post(brings_secrets("acme", owner="acme"))
    inn.apply()
    ended = cli("rejected", "retry", listed[1]["id"])
    assert (ended.code, " accepted " in ended.out) == (0, True)
    ended = cli("rejected", "retry", "--reason", "bad_signature", "--json")
    assert (ended.code, [one["status"] for one in ended.document]) == (1, ["rejected"])
    assert cli("rejected", "retry", "nonsense").code == 1
    assert cli("rejected", "retry", "1-a", "--reason", "expired").code == 2


def test_policies_are_listed_and_revoked(cli: Cli, inn: Inn) -> None:
    """The previous one goes at once; without one there is nothing to revoke."""
    for owner in ("old", "new"):
        inn.post(brings_secrets("acme", owner=owner))
        inn.apply()
    current, previous = cli("policies", "--json").document
    assert (current["state"], previous["state"]) == ("current", "previous")
    ended = cli("policies", "revoke", "xurrent/notes/acme")
    assert ended.out == f"xurrent/notes/acme: {previous['fingerprint']} goes out of force\n"
    inn.apply()
    assert len(cli("policies").out.splitlines()) == 2
    assert cli("policies", "revoke", "xurrent/notes/acme").code == 1
    assert cli("policies", "revoke", "xurrent/notes/acme", current["fingerprint"]).code == 0


def test_a_bar_moves_on_a_terminal_only(cli: Cli, file: Path) -> None:
    """Nothing but the counts is printed here."""
    assert io.StringIO(cli("replay", file, "--into-log").err).read() == ""
