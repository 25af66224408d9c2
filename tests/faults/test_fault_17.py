"""Fault 17: everybody quotes the secrets that they were given; they are nowhere to be found."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.faults.canaries import AWKWARD
from tests.faults.conftest import SEED
from tests.faults.reporting import Row, report
from tests.faults.worst_day import HEARD, KEY, Scene, worst_day
from tests.processes import mode_of
from tests.system.speaking import ask

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One bad day for all tests; they only look, the last of them at what the others left."""
    with worst_day(SEED) as scene:
        yield scene


def test_the_worst_was_heard(scene):
    """Whoever was asked has had the secrets, and the canaries are found where they are."""
    assert scene.heard() >= HEARD
    assert len(scene.secrets.found_in(scene.bodies)) > 10
    answer = scene.ask(f"/app_instances/{KEY}/secrets", token=scene.secrets_token)
    assert "secrets 1 in answer" in scene.secrets.found_in({"answer": answer.body})


def test_no_answer_of_the_api_holds_one(scene):
    """Lists, single things, errors, figures and health, of console and receiver."""
    paths = [
        "/app_instances?fields=id,facts,custom_fields,customer_account", f"/app_instances/{KEY}",
        f"/app_instances/{KEY}?fields=facts", f"/app_instances/{KEY}/transitions",
        f"/integration_instances/{KEY}", "/deliveries?per_page=100", "/rejected", "/dead_letters",
        "/metrics", "/health", "/app_offerings?app=notes", "/app_offerings/7?app=notes", "/nowhere",
        "/app_instances?status=x", f"/app_instances/{KEY}/secrets",
        *(f"/deliveries/{each}" for each in scene.ids.values()),
    ]  # fmt: skip
    held = {path: scene.ask(path).body for path in paths}
    for path, method, body in (
        (f"/app_instances/{KEY}", "PATCH", {"suspended": True}),
        (f"/app_instances/{KEY}/token", "POST", None),
        ("/app_instances/rebilly/ledger/org_7/token", "POST", None),
        ("/app_offerings?app=notes", "POST", {"name": "n", "reference": "r"}),
    ):
        held[f"{method} {path}"] = scene.ask(path, method, body=body).body
    port = scene.inn.ports["receiver"]
    for path in ("/health/ready", "/metrics"):
        held[f"receiver{path}"] = ask("GET", f"http://127.0.0.1:{port}{path}").body
    assert all(held.values())
    assert scene.secrets.found_in(held) == []
    open_to_all = {name: body for name, body in held.items() if "health" in name or "metr" in name}
    assert scene.personal.found_in(open_to_all) == scene.facts.found_in(open_to_all) == []


def test_no_output_of_a_command_holds_one(scene):
    """What people type, as text or as JSON, and what they are told when it fails."""
    letters, refused = scene.inn.told("dead-letters"), scene.inn.told("rejected")
    commands = [
        ("instances", "--json"), ("instances", "show", KEY), ("explain", KEY), ("deliveries",),
        ("explain", "xurrent/notes/-", "--json"), ("deliveries", "export"), ("rejected",),
        ("dead-letters",), ("check",), ("doctor",), ("reconcile",), ("connect", "notes"),
        ("connect", "ledger", "--json"), ("offerings", "list", "notes"), ("audit",),
        ("installations", "list", "reef"), ("rebuild", "--check"), ("rejected", "retry", "--json"),
        *(("deliveries", "show", scene.ids[what]) for what in ("secrets 0", "undecodable")),
        *(("dead-letters", "show", one["id"], "--json") for one in letters[:3]),
        *(("rejected", "show", one["id"]) for one in refused[:3]),
    ]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda command: scene.inn.cli(*command), commands))
    held = {
        " ".join(command): (one.out + one.err).encode()
        for command, one in zip(commands, ended, strict=True)
    }
    assert all(held.values())
    assert scene.secrets.found_in(held) == []


def test_files_with_secrets_are_for_their_owner_alone(scene):
    """An export holds none, unless asked for; what is done with such files tells none."""
    inn = scene.inn
    without, with_secrets = inn.folder / "without.jsonl", inn.folder / "with.jsonl"
    held = {}
    for arguments in (
        ("deliveries", "export", "--output", without),
        ("deliveries", "export", "--with-secrets", "--output", with_secrets),
        ("replay", with_secrets, "--dry-run"),
        ("replay", with_secrets, "--dry-run", "--json"),
        ("replay", with_secrets),
        ("replay", with_secrets, "--into-log", "--json"),
        ("import", _imported(scene)),
        ("import", _imported(scene), "--json"),
    ):
        ended = inn.cli(*arguments)
        held[" ".join(map(str, arguments))] = (ended.out + ended.err).encode()
    scene.until_folded()
    assert mode_of(with_secrets) == 0o600
    bodies = [
        json.loads(line).get("body_base64") for line in with_secrets.read_bytes().splitlines()
    ]
    decoded = b"\n".join(base64.b64decode(body) for body in bodies if body)
    assert scene.secrets.found_in({"file": decoded})
    assert scene.secrets.found_in({**held, "without": without.read_bytes()}) == []


def _imported(scene: Scene) -> Path:
    """A file of customers, with faulty lines that hold secrets."""
    made = scene.secrets
    sound = {"platform": "xurrent", "app": "notes", "account": "reef"}
    lines: list[Any] = [
        {**sound, "application": {"client_secret": made.odd("imported")}},
        {**sound, "application": made.odd("imported text")},
        {**sound, "account": made.odd("imported account"), "secrets": {}},
        {**sound, "policy": {"algorithm": "rs256", "public_key": made.odd("imported key")}},
    ]
    file = scene.inn.folder / "customers.jsonl"
    file.write_text(
        "\n".join([*map(json.dumps, lines), '{"secrets": ' + made.odd("no json", AWKWARD)])
    )
    file.chmod(0o600)
    return file


def test_none_is_in_the_log(scene):
    """Not a line of any service tells a secret, or what a body says of people."""
    said = {"log": scene.inn.log.read_bytes()}
    for event in (b"delivery.received", b"follow_up.performed", b"pass.broke_off", b"dead_letter"):
        assert event in said["log"]
    assert scene.secrets.found_in(said) == []
    assert scene.personal.found_in(said) == scene.facts.found_in(said) == []


def test_none_is_in_the_table_of_processes(scene):
    """No command line holds one, nor the environment of the servers, which need none."""
    processes = scene.inn.processes()
    assert len(processes) > 5
    held = {f"arguments of {one.pid}": one.arguments.encode() for one in processes}
    servers = [one for one in processes if "valkey-server" in one.arguments.split()[0]]
    for one in servers if os.path.isdir("/proc") else []:
        held[f"environment of {one.pid}"] = Path(f"/proc/{one.pid}/environ").read_bytes()
    assert len(servers) == 2
    assert scene.secrets.found_in(held) == []


def test_none_is_in_clear_in_the_data_folder(scene):
    """No file, and no value that either server holds; so not in a job of the queue's, either."""
    files = [path for path in scene.inn.data.rglob("*") if path.is_file()]
    assert any("appendonly" in str(path) for path in files)
    held = {str(path): path.read_bytes() for path in files}
    sockets = [path for path in scene.inn.data.rglob("*") if stat.S_ISSOCK(path.stat().st_mode)]
    for path in sockets:
        held |= _values(path)
    assert len(held) > len(files) + 100
    assert scene.secrets.found_in(held) == []
    assert scene.personal.found_in(held) == []
    what = "secrets that everybody quotes back: none in any log, answer or file"
    sent, accepted = len(scene.bodies), len(scene.ids)
    report(Row(fault="17", what=what, seed=SEED, sent=sent, accepted=accepted, lost=0, twice=0))


def _values(socket: Path) -> dict[str, bytes]:
    """Everything that a server holds, by key."""
    commands: dict[bytes, tuple[Any, ...]] = {
        b"string": ("GET",),
        b"hash": ("HGETALL",),
        b"list": ("LRANGE", 0, -1),
        b"set": ("SMEMBERS",),
        b"zset": ("ZRANGE", 0, -1),
        b"stream": ("XRANGE", "-", "+"),
    }
    held = {}
    with redis.Redis(unix_socket_path=str(socket)) as server:
        for name in server.scan_iter(count=1000):
            command, *rest = commands.get(server.type(name), ("DUMP",))
            value = server.execute_command(command, name, *rest)
            held[f"{socket.name}: {name!r}"] = name + b"\n" + _flat(value)
    return held


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    return b"\n".join(map(_flat, inner)) if isinstance(inner, list | tuple | set) else b""
