"""`secrets rotate` and `forget` on the command line, which takes and shows no secret."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from innkeeper.operations import forgetting, rotating
from innkeeper_console.cli.commands import app
from tests.conftest import KEY
from tests.console.conftest import Cli
from tests.inn import Inn, brings_secrets, states
from tests.levers import applied_meanwhile
from tests.standing import standing_of

OLD = base64.b64encode(KEY).decode()
NEW = base64.b64encode(b"n" * 32).decode()
_SECRET = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else runs in these tests."""
    monkeypatch.setattr(rotating, "SEEN_WITHIN_SECONDS", 0.0)
    monkeypatch.setattr(rotating, "ON_ITS_WAY_SECONDS", 0.0)


@pytest.fixture
def key_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key in the data folder instead of the environment."""
    monkeypatch.delenv("INNKEEPER_SECRET_KEYS")
    path = folder / ".innkeeper" / "secret-keys"
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_text(OLD + "\n")
    return path


def test_rotate(cli: Cli, inn: Inn, key_file: Path):
    """It tells what it has done and where the old key is, and shows neither key."""
    inn.post(brings_secrets())
    inn.apply()
    ended = cli("secrets", "rotate")
    new = key_file.read_text().strip()
    assert ended.code == 0
    assert "encrypted anew: bodies 1, digest_key 1, events 1, secrets 2" in ended.out
    assert f"1 of the old keys went to {key_file}.retired" in ended.out
    assert ended.err == ""
    assert new != OLD
    for key in (OLD, new):
        assert key[:12] not in ended.out
    again = cli("secrets", "rotate", "--json")
    assert again.document["retired"] == 1
    assert again.document["resealed"] == {"bodies": 1, "digest_key": 1, "events": 1, "secrets": 2}
    assert cli("instances", "--json").document[0]["id"] == "xurrent/notes/acme"


def test_rotate_that_is_not_done(cli: Cli, inn: Inn, key_file: Path):
    """Exit 1, and why the old key stays where it is."""
    key_file.write_text(f"{NEW}\n")
    inn.post(states())
    ended = cli("secrets", "rotate")
    assert ended.code == 1
    assert "the old keys are still needed: what is sealed with these keys cannot" in ended.err
    assert len(key_file.read_text().split()) == 2


def test_rotate_with_keys_of_the_environment(cli: Cli, inn: Inn, monkeypatch: pytest.MonkeyPatch):
    """One key: what to do. Two: which one may be taken out, by its id."""
    inn.post(states())
    ended = cli("secrets", "rotate")
    assert ended.code == 1
    assert "Put a new one in front of it" in ended.err
    monkeypatch.setenv("INNKEEPER_SECRET_KEYS", f"{NEW},{OLD}")
    ended = cli("secrets", "rotate")
    assert ended.code == 0
    assert re.search(r"the key [0-9a-f]{8} is not needed any more", ended.out)
    monkeypatch.setenv("INNKEEPER_SECRET_KEYS", NEW)
    assert cli("deliveries", "--json").document
    assert cli("deliveries", "export").code == 0


def test_forget(cli: Cli, inn: Inn):
    """It says what went, and what may still name the customer elsewhere."""
    inn.states()
    with applied_meanwhile(inn):
        ended = cli("forget", "xurrent/notes/acme", "--yes")
    assert ended.code == 0
    assert re.search(r"^entries +2$", ended.out, re.MULTILINE)
    assert "acme is enabled, not removed" in ended.err
    assert "Receivers' notes" in ended.err
    assert cli("instances", "show", "xurrent/notes/acme").code == 1
    ended = cli("forget", "xurrent/notes/acme", "--yes")
    assert ended.code == 1
    assert "there is no instance xurrent/notes/acme: it was forgotten at 20" in ended.err


def test_forget_asks(cli: Cli, inn: Inn):
    """Where there is no terminal it wants `--yes`, and nothing is done without."""
    inn.states()
    ended = cli("forget", "xurrent/notes/acme")
    assert (ended.code, standing_of(inn.desk.store).instances) == (2, 1)
    assert "give --yes" in ended.err


@pytest.mark.parametrize(
    ("key", "code"), [("xurrent/notes/-", 2), ("xurrent", 2), ("xurrent/notes/nobody", 1)]
)
def test_forget_whom(cli: Cli, key: str, code: int):
    """What belongs to no customer is not forgotten, and nobody can be who is not known."""
    assert cli("forget", key, "--yes").code == code


def test_forget_that_waits_for_the_workers(cli: Cli, inn: Inn, monkeypatch: pytest.MonkeyPatch):
    """Exit 1, and to be run again; then it is done."""
    monkeypatch.setattr(forgetting, "WAIT_SECONDS", 0.1)
    inn.states()
    ended = cli("forget", "xurrent/notes/acme", "--yes", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "run this again" in ended.err
    inn.apply()
    monkeypatch.setattr(forgetting, "WAIT_SECONDS", 10.0)
    with applied_meanwhile(inn):
        assert cli("forget", "xurrent/notes/acme", "--yes", "--json").code == 0


def parameters(made: typer.Typer) -> Iterator[tuple[str, str, Any]]:
    """Every parameter of every command: the function's name, its own, and its type."""
    for command in made.registered_commands:
        assert command.callback is not None
        for name, hint in get_type_hints(command.callback, include_extras=True).items():
            yield command.callback.__qualname__, name, hint
    for group in made.registered_groups:
        assert group.typer_instance is not None
        yield from parameters(group.typer_instance)


def test_no_command_takes_a_secret_as_an_argument():
    """Arguments are seen by whoever lists processes, and kept by shells. What is named after a
    secret is a flag, a file, or an instance's name."""
    found = list(parameters(app))
    assert len(found) > 100
    for command, name, hint in found:
        options = [one for one in get_args(hint)[1:] if hasattr(one, "param_decls")]
        words = [name, *(word for one in options for word in one.param_decls or ())]
        words += [str(one.metavar or "") for one in options]
        kind, *_ = get_args(hint) or (hint,)
        takes_no_text = kind is bool or Path in (kind, *get_args(kind))
        names_an_instance = name in {"key", "instance"} and words[-1].strip("[]") == "KEY"
        if not (takes_no_text or names_an_instance):
            assert not _SECRET.search(" ".join(words)), f"{command}: {words}"
