"""`innkeeper doctor`: what is wrong is named, with what to do; the rest is looked at anyway."""

from __future__ import annotations

import base64
import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from innkeeper.config import Config, QueueSection, StoreSection
from innkeeper.operations.epochs import remember
from innkeeper.spool import Spool
from innkeeper.store.connection import Store
from innkeeper.store.keys import EPOCH
from innkeeper.store.log import prepare
from tests.conftest import KEY
from tests.console.conftest import CONFIGURATION, Cli, Ended
from tests.inn import APPS, Inn, brings_secrets, config_of, signed, states
from tests.platforms.apis import Api, said
from tests.processes import free_port, mode_of
from tests.receiver.running import Running
from tests.sites import site
from tests.store.making import new_entry
from tests.store.servers import server

TOKEN = "personal-token-of-the-inn"
LIST = "/v1/app_instances"


@pytest.fixture(autouse=True)
def _elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receiver and console are looked for where nobody is."""
    for name in ("RECEIVER", "CONSOLE"):
        monkeypatch.setenv(f"INNKEEPER_{name}_BIND", f"127.0.0.1:{free_port()}")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is neither a store nor a queue server."""
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/store.sock")


def verdicts(ended: Ended) -> dict[str, str]:
    """By check."""
    return {one["check"]: one["verdict"] for one in ended.document["checks"]}


def told(ended: Ended, check: str) -> str:
    """Value and sentence of a check."""
    one = next(one for one in ended.document["checks"] if one["check"] == check)
    return f"{one['value']}: {one['said']}"


def test_what_is_wrong_decides_the_exit_code(cli: Cli) -> None:
    """A good store, and nobody who works with it: exit 1, told as text and as one document."""
    ended = cli("doctor", "--json")
    found = verdicts(ended)
    assert (ended.code, ended.document["verdict"]) == (1, "wrong")
    assert found["workers"] == "wrong"
    assert "start `innkeeper worker`" in told(ended, "workers")
    assert (found["receiver"], found["console"]) == ("warning", "warning")
    for check in ("store", "store, fsync", "clock, store's", "queue server", "backlog", "sealed"):
        assert found[check] == "fine", told(ended, check)
    text = cli("doctor")
    assert text.code == 1
    lines = text.out.splitlines()
    assert lines[0].split()[0] == "fine"
    assert lines[-2].split()[:2] == ["wrong", "workers"]
    assert lines[-1].startswith("1 wrong, ")


@pytest.mark.usefixtures("away")
def test_without_a_store_it_goes_on(cli: Cli) -> None:
    """It says so, and tells what can be told without one; soon."""
    started = time.monotonic()
    ended = cli("doctor", "--json")
    assert time.monotonic() - started < 12
    found = verdicts(ended)
    assert ended.code == 1
    assert (found["store"], found["queue server"], found["workers"]) == ("wrong",) * 3
    assert "unix:///nowhere/store.sock" in told(ended, "store")
    assert found["waiting"] == "unchecked"
    assert {"keys", "disk", "spool", "receiver", "xurrent/notes"} <= set(found)


def test_a_hung_store_does_not_hang_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes connections and answers nothing: each check has its time."""
    with server() as own:
        monkeypatch.setenv("REDIS_URL", own.url)
        os.kill(own.pid, signal.SIGSTOP)
        started = time.monotonic()
        ended = cli("doctor", "--json", "--offline")
        took = time.monotonic() - started
        os.kill(own.pid, signal.SIGCONT)
    assert took < 15
    assert (ended.code, verdicts(ended)["store"]) == (1, "wrong")


def test_a_store_that_forgets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every finding of the store's settings is told."""
    with server() as own, contextlib.closing(Store(own.url)) as raw:
        monkeypatch.setenv("REDIS_URL", own.url)
        raw.command("CONFIG", "SET", "appendonly", "yes")
        raw.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        ended = cli("doctor", "--json", "--offline")
        assert verdicts(ended)["store, eviction"] == "wrong"
        assert "noeviction" in told(ended, "store, eviction")


def test_another_store_than_before(cli: Cli, folder: Path, store: Store) -> None:
    """A wiped one is named, and looking makes nothing in it."""
    remember(folder / ".innkeeper", "the-one-before")
    assert verdicts(cli("doctor", "--json"))["store, epoch"] == "wrong"
    store.command("FLUSHALL")
    ended = cli("doctor", "--json")
    assert verdicts(ended)["store, epoch"] == "wrong"
    assert "wiped" in told(ended, "store, epoch")
    assert store.command("GET", EPOCH) is None
    assert verdicts(ended)["waiting"] == "unchecked"


def test_what_waits_failed_or_was_refused(cli: Cli, inn: Inn) -> None:
    """Dead letters, follow-ups and refusals are counted, with what to do."""
    inn.states(suspended=True)
    inn.perform()
    inn.post(states("b"))
    inn.refuse(signed({"event": "app_instance.update"}, iss="https://wdc.example"))
    ended = cli("doctor", "--json")
    found = verdicts(ended)
    assert (found["dead letters"], found["backlog"]) == ("warning", "fine")
    assert "1: `innkeeper dead-letters`" in told(ended, "dead letters")
    assert "1 deliveries" in told(ended, "backlog")
    assert found["refused, xurrent/notes"] == "warning"
    assert "1 wrong_issuer" in told(ended, "refused, xurrent/notes")
    assert "the last delivery came" in told(ended, "xurrent/notes, deliveries").lower()


def test_the_ring_opens_what_is_kept(cli: Cli, inn: Inn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring without the key of what is kept is wrong; with it, behind another, it is fine."""
    inn.post(brings_secrets())
    inn.apply()
    ended = cli("doctor", "--json")
    assert verdicts(ended)["sealed"] == "fine"
    assert "2 secrets and 2 deliveries were looked at" in told(ended, "sealed")
    other = base64.b64encode(bytes(32)).decode()
    monkeypatch.setenv("INNKEEPER_SECRET_KEYS", other)
    ended = cli("doctor", "--json")
    assert verdicts(ended)["sealed"] == "wrong"
    assert "is not in the ring" in told(ended, "sealed")
    monkeypatch.setenv("INNKEEPER_SECRET_KEYS", f"{other},{base64.b64encode(KEY).decode()}")
    assert verdicts(cli("doctor", "--json"))["sealed"] == "fine"


@pytest.mark.usefixtures("away")
def test_a_copy_of_the_keys(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warned of until an operator says that there is one, and again once there is a new key."""
    assert verdicts(cli("doctor", "--json"))["keys, backup"] == "unchecked"
    monkeypatch.delenv("INNKEEPER_SECRET_KEYS")
    file = folder / ".innkeeper" / "secret-keys"
    file.parent.mkdir(exist_ok=True)
    file.write_text(base64.b64encode(KEY).decode())
    file.chmod(0o600)
    ended = cli("doctor", "--json")
    assert verdicts(ended)["keys, backup"] == "warning"
    assert f"1 key in {file} (mode 0600)" in told(ended, "keys")
    assert verdicts(cli("doctor", "--json", "--keys-backed-up"))["keys, backup"] == "fine"
    assert mode_of(file.with_name("keys-backed-up")) == 0o600
    assert verdicts(cli("doctor", "--json"))["keys, backup"] == "fine"
    both = f"{base64.b64encode(bytes(32)).decode()}\n{base64.b64encode(KEY).decode()}"
    file.write_text(both)
    ended = cli("doctor", "--json")
    assert verdicts(ended)["keys, backup"] == "warning"
    assert base64.b64encode(KEY).decode() not in ended.out


@pytest.mark.usefixtures("away")
def test_the_spool_is_looked_at(cli: Cli, folder: Path, inn: Inn) -> None:
    """What waits in it is a warning, what is too old to be drained is wrong."""
    data, now = folder / ".innkeeper", time.time()
    spool = Spool(data, most_bytes=1 << 30)
    with contextlib.closing(spool):
        spool.put([prepare(new_entry("a"), inn.desk.ring)], now=now - 600)
        ended = cli("doctor", "--json", "--offline")
        assert verdicts(ended)["spool"] == "warning"
        assert "the oldest for 10 min" in told(ended, "spool")
        spool.put([prepare(new_entry("b"), inn.desk.ring)], now=now - 60 * 86400)
    assert verdicts(cli("doctor", "--json", "--offline"))["spool"] == "wrong"


@pytest.mark.parametrize(
    ("answer", "verdict", "word"),
    [
        (said([], "200 OK", "X-Pagination-Total-Entries: 0"), "fine", "signed in"),
        (said({"message": f"{TOKEN} is not known"}, "401 Unauthorized"), "wrong", "refused"),
        (said({}, "429 Too Many Requests", "Retry-After: 9"), "warning", "9 s"),
        (said({}, "500 Oh"), "wrong", "500"),
    ],
    ids=["in", "out", "too often", "broken"],
)
def test_a_real_sign_in(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, verdict: str, word: str
) -> None:
    """Each app with an API is signed in to and its list looked at; no token is shown."""
    with site() as running:
        api = Api(running)
        api.answers(LIST, answer)
        stated = f'[apps.api]\ntoken_env = "NOTES_TOKEN"\nbase_url = "{api.url}/v1"\n\n'
        first, rest = CONFIGURATION.split("[[apps]]", 2)[1:]
        (folder / "innkeeper.toml").write_text(f"[[apps]]{first}{stated}[[apps]]{rest}")
        monkeypatch.setenv("NOTES_TOKEN", TOKEN)
        ended = cli("doctor", "--json")
        assert verdicts(ended)["xurrent/notes"] == verdict
        assert word in told(ended, "xurrent/notes").lower()
        assert TOKEN not in ended.out
        running.requests.clear()
        assert verdicts(cli("doctor", "--json", "--offline"))["marketplaces"] == "unchecked"
        assert running.requests == []


@pytest.mark.parametrize(
    ("off", "verdict"), [(0, "fine"), (-40, "warning"), (400, "wrong")], ids=str
)
def test_the_receiver_tells_of_the_clock(
    cli: Cli,
    tmp_path: Path,
    valkey_url: str,
    monkeypatch: pytest.MonkeyPatch,
    off: int,
    verdict: str,
) -> None:
    """By the tokens that it saw, the refused ones too."""
    url = StoreSection(url=valkey_url)
    config: Config = config_of(tmp_path, apps=APPS, secret_keys=(KEY,), store=url)
    running = Running(replace(config, queue=QueueSection(url=valkey_url)))
    try:
        running.until_ready()
        said_at = int(time.time()) + off
        payload = {"app_offering": {"reference": "notes"}, "customer_account_id": "a"}
        data = {"event": "app_instance.update", "payload": payload}
        request = signed(data, iat=said_at, nbf=said_at)
        status = running.post("/hooks/xurrent/notes", request.body).status
        assert status == (401 if off > 60 else 202)
        monkeypatch.setenv("INNKEEPER_RECEIVER_BIND", f"127.0.0.1:{running.port}")
        ended = cli("doctor", "--json")
    finally:
        running.stop()
    assert verdicts(ended)["receiver"] == "fine"
    assert verdicts(ended)["clock, xurrent's"] == verdict


@pytest.mark.usefixtures("cli")
def test_on_a_terminal_signs_stand_for_words(folder: Path) -> None:
    """✓, ! and ✗ where they can be shown."""
    ours, theirs = pty.openpty()
    source = "from innkeeper_console.cli import main; main(['doctor', '--offline'])"
    paths = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "1", "NO_COLOR": "1"}
    with os.fdopen(theirs, "wb") as terminal:
        command = [sys.executable, "-c", source]
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=terminal)
    lines = b""
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 65536):
            lines += piece
    os.close(ours)
    assert process.wait(20) == 1
    signs = [line[:1] for line in lines.decode().splitlines()[:-1]]
    assert set(signs) == {"✓", "?", "!", "✗"}
    assert signs == sorted(signs, key="✓?!✗".index)
