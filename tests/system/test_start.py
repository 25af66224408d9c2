"""Starting and ending: what `up` says, what it makes, what stops it, and what it leaves."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.processes import mode_of, soon
from tests.system.conftest import OpenInn
from tests.system.marketplaces import (
    BASIC,
    REBILLY_PASSWORD,
    Account,
    curve_key,
    rebilly,
    rebilly_app,
    xurrent_app,
)
from tests.system.running import PROGRAM, Inn

PROVIDER = Account(name="quay", domain="xurrent.invalid", algorithm="ES256", key=curve_key("quay"))
CONFIGURATION = xurrent_app(PROVIDER, "notes") + rebilly_app("ledger", "app_1")
WRONG = """
surprise = true
[receiver]
max_body = "much"
[[apps]]
platform = "xurrent"
reference = "notes"
account = "quay"
domain = "xurrent.invalid"
[apps.policy]
algorithm = "none"
key_file = "nowhere.pem"
[[apps]]
platform = "rebilly"
reference = "app_1"
credentials = { type = "basic", username = "u", password_env = "NOT_SET_ANYWHERE" }
[[follow_ups]]
on = ["enabeld"]
call = "acme_hooks:note"
"""


@pytest.fixture(scope="module")
def bare(open_inn: OpenInn) -> Inn:
    """An inn without a configuration, started for the first time."""
    inn = open_inn()
    inn.start()
    return inn


@pytest.fixture
def inn(open_inn: OpenInn) -> Inn:
    """A configured inn of one test's own, not started yet."""
    return open_inn(CONFIGURATION, HOOK_PASSWORD=REBILLY_PASSWORD)


def test_a_first_start_says_where_it_looked(bare):
    """Without a configuration it starts with no app and says what to do about it."""
    said = bare.log.read_text()
    for expected in (
        "./innkeeper.toml",
        "INNKEEPER_CONFIG",
        "cp innkeeper.example.toml innkeeper.toml",
        f"http://127.0.0.1:{bare.ports['receiver']}",
        f"http://127.0.0.1:{bare.ports['console']}",
        str(bare.data),
    ):
        assert expected in said
    assert bare.hook("xurrent/notes", b"{}").status == 404
    assert bare.get("/app_instances") == []


def test_a_first_start_makes_keys_and_a_token(bare):
    """Both are there, for their owner alone, and neither is printed."""
    for name in ("secret-keys", "api-token"):
        assert mode_of(bare.data / name) == 0o600
        assert (bare.data / name).read_text().strip() not in bare.log.read_text()
    assert mode_of(bare.data) == 0o700


def test_a_second_up_is_refused(bare):
    """Another `up` on the same folder says who holds it, and the first one goes on."""
    assert bare.process is not None
    second = bare.cli("up")
    assert second.code == 1
    assert str(bare.process.pid) in second.out + second.err
    assert bare.get("/app_instances") == []


@pytest.mark.parametrize("service", ["receiver", "console"])
def test_a_taken_port_is_told(open_inn, service):
    """A port in use is named, with exit code 1, and nothing is left running."""
    inn = open_inn()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", inn.ports[service]))
        taken.listen()
        ended = inn.cli("up")
    assert ended.code == 1
    assert f"{service}: cannot listen on 127.0.0.1:{inn.ports[service]}" in ended.out + ended.err
    assert inn.processes() == []


def test_all_faults_are_told_at_once(open_inn):
    """A wrong configuration: every fault with its path, exit code 2, and nothing is started."""
    inn = open_inn(WRONG)
    ended = inn.cli("up")
    assert ended.code == 2
    for path in (
        "surprise",
        "receiver.max_body",
        "apps[0].policy.algorithm",
        "apps[0].policy.key_file",
        "apps[1].credentials.password_env",
        "follow_ups[0].on",
    ):
        assert path in ended.err
    assert inn.processes() == []
    checked = inn.cli("check", "--json")
    assert checked.code == 2
    assert len(checked.document["faults"]) >= 6


def test_two_signals_stop_it_once(inn):
    """It tells every app's hook; on SIGTERM twice, exit code 0, and no process is left."""
    inn.start()
    assert inn.url_of_hook("xurrent/notes") in inn.log.read_text()
    assert inn.url_of_hook("rebilly/ledger") in inn.log.read_text()
    assert len(inn.processes()) > 3
    inn.process.send_signal(signal.SIGTERM)
    inn.process.send_signal(signal.SIGTERM)
    assert inn.process.wait(20) == 0
    assert inn.processes() == []


def test_killed_with_minus_nine_it_goes_on(inn):
    """A killed `up` leaves no process but the store, and the next one has the same register."""
    inn.start()
    delivery = rebilly("app_1", "org_1", "enabled", "2026-01-01T00:00:00Z")
    assert inn.hook("rebilly/ledger", delivery, **BASIC).status == 202
    inn.until_folded()
    before = inn.get("/app_instances")
    assert [one["status"] for one in before] == ["enabled"]
    inn.kill()
    assert soon(lambda: all("unixsocket:" in one.arguments for one in inn.processes()))
    inn.start()
    assert inn.get("/app_instances") == before


def test_make_up_is_quick(open_inn, capsys):
    """`make up` on a `.venv` that is there is ready within seconds; a signal to make ends it."""
    root = PROGRAM.parents[2]
    assert (root / "Makefile").exists(), "these tests run in a virtual environment of the clone"
    inn = open_inn(CONFIGURATION, HOOK_PASSWORD=REBILLY_PASSWORD)
    arguments = f"ARGS=--data {inn.data} --config {inn.folder / 'innkeeper.toml'}"
    # Taken for up to date, whoever made it: the environment that runs this test is not rebuilt.
    current = [word for mark in (".locked", ".installed") for word in ("-o", f".venv/{mark}")]
    seconds = inn.start(("make", *current, "up", arguments), cwd=root)
    with capsys.disabled():
        print(f"\nmake up: ready in {seconds:.2f} s, of 3 that are meant")
    assert seconds < 10
    inn.process.terminate()
    inn.process.wait(20)
    assert soon(lambda: inn.processes() == [], 20)


def test_without_a_store_commands_say_so(open_inn):
    """Where no store runs, a command says so and ends with exit code 1; a wrong one with 2."""
    inn = open_inn()
    ended = inn.cli("instances")
    assert ended.code == 1
    assert "no store runs" in ended.err
    assert inn.cli("instances", "--surprise").code == 2


def test_a_service_alone_makes_no_keys(open_inn):
    """A service that is started alone refuses to run without keys, with exit code 2."""
    inn = open_inn()
    ended = inn.cli("receiver")
    assert ended.code == 2
    assert "INNKEEPER_SECRET_KEYS" in ended.err
    assert not inn.data.exists()
