"""docker-compose.yml keeps to the compose format, and what it starts comes up healthy.

No container engine is needed: each service's command, environment and health check run natively.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import jsonschema
import pytest
import redis

from tests.deploy.composition import (
    ROOT,
    Service,
    VariableMissing,
    compose_file,
    free_port,
    natively,
    services,
    started,
    surroundings,
)

SCHEMA = json.loads(Path(__file__).with_name("compose-schema.json").read_text())
VALKEYS = ("store", "queue")
OURS = ("receiver", "worker", "console")
HEALTHY_WITHIN_SECONDS = 60


@pytest.fixture
def variables() -> dict[str, str]:
    """What an operator's .env holds."""
    return {
        "INNKEEPER_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "INNKEEPER_API_TOKEN": secrets.token_hex(32),
    }


@pytest.fixture
def moved(tmp_path: Path, variables: dict[str, str]) -> dict[str, Service]:
    """The services as this machine can run them, with an empty configuration."""
    ports = {name: free_port() for name in (*VALKEYS, "receiver", "console")}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "innkeeper.toml").write_text("")
    receiver, console = (f"127.0.0.1:{ports[name]}" for name in ("receiver", "console"))
    places = {
        "store:6379": f"127.0.0.1:{ports['store']}",
        "queue:6379": f"127.0.0.1:{ports['queue']}",
        "0.0.0.0:8000": receiver,
        "127.0.0.1:8000": receiver,
        "0.0.0.0:8001": console,
        "127.0.0.1:8001": console,
        "/etc/innkeeper": str(tmp_path / "config"),
        "/data": str(tmp_path / "data"),
    }
    return {
        name: natively(service, places, ports[name] if name in VALKEYS else None)
        for name, service in services(variables).items()
    }


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Service], subprocess.Popen[bytes]]]:
    """Starts a service, which is gone when the test ends."""
    with ExitStack() as running:
        yield lambda service: running.enter_context(started(service, tmp_path / service.name))


def test_the_file_keeps_to_the_compose_format() -> None:
    """The file has no key and no value that the Compose Specification does not know."""
    jsonschema.validate(compose_file(), SCHEMA)


def test_a_misspelt_key_is_found() -> None:
    """A key that the Compose Specification does not know is refused by the schema."""
    misspelt = copy.deepcopy(compose_file())
    misspelt["services"]["receiver"]["healthcheck"]["start_delay"] = "1s"

    with pytest.raises(jsonschema.ValidationError, match="start_delay"):
        jsonschema.validate(misspelt, SCHEMA)


def test_every_service_waits_for_healthy_stores() -> None:
    """Our three services start once both servers are healthy, and all volumes are declared."""
    content = compose_file()
    healthy = {name: {"condition": "service_healthy"} for name in VALKEYS}
    mounts = [mount for keys in content["services"].values() for mount in keys.get("volumes", [])]
    named = {mount.partition(":")[0] for mount in mounts if isinstance(mount, str)}

    assert set(content["services"]) == {*VALKEYS, *OURS}
    assert [healthy] * 3 == [content["services"][name]["depends_on"] for name in OURS]
    assert named == set(content["volumes"])


def test_nothing_is_published_beyond_this_host() -> None:
    """Every published port is one of the loopback interface, and the servers publish none."""
    ports = {name: keys.get("ports", []) for name, keys in compose_file()["services"].items()}

    assert {name: found for name, found in ports.items() if found} == {
        "receiver": ["127.0.0.1:8000:8000"],
        "console": ["127.0.0.1:8001:8001"],
    }


@pytest.mark.parametrize("name", ["INNKEEPER_SECRET_KEYS", "INNKEEPER_API_TOKEN"])
def test_keys_and_token_are_required(name: str, variables: dict[str, str]) -> None:
    """Without the keys or the token no service starts, and the missing variable is named."""
    del variables[name]

    with pytest.raises(VariableMissing, match=name):
        services(variables)


def test_the_example_names_every_variable() -> None:
    """Each variable that the file reads stands in .env.example."""
    asked = re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text())
    offered = re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert set(asked) <= set(offered)


def test_the_store_syncs_each_write_and_the_queue_none(
    moved: dict[str, Service], start: Callable[[Service], subprocess.Popen[bytes]]
) -> None:
    """The store's command makes it durable and never evicting, the queue's writes no file."""
    found = {}
    for name in VALKEYS:
        start(moved[name])
        found[name] = settings(moved[name])

    assert found == {
        "store": ("yes", "always", "noeviction", ""),
        "queue": ("no", "everysec", "noeviction", ""),
    }


def test_every_service_becomes_healthy_and_stops_in_time(
    moved: dict[str, Service],
    start: Callable[[Service], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """Each service comes up by its own command, passes its own check and ends on SIGTERM with 0."""
    for name in VALKEYS:
        start(moved[name])
        settings(moved[name])
    running = {name: start(moved[name]) for name in OURS}
    for name, process in running.items():
        wait_until_healthy(moved[name], process, tmp_path / name / "output.log")
    for process in running.values():
        process.send_signal(signal.SIGTERM)

    ended = {name: process.wait(moved[name].grace_seconds) for name, process in running.items()}

    assert ended == dict.fromkeys(OURS, 0)


def settings(valkey: Service) -> tuple[str, str, str, str]:
    """Return what governs a server's durability, once it answers."""
    names = ("appendonly", "appendfsync", "maxmemory-policy", "save")
    deadline = time.monotonic() + 10
    with redis.Redis(port=int(valkey.argv[-1]), decode_responses=True) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < deadline, f"{valkey.name} does not answer"
                time.sleep(0.02)
            else:
                appendonly, appendfsync, policy, save = (client.config_get(n)[n] for n in names)
                return appendonly, appendfsync, policy, save


def wait_until_healthy(service: Service, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask the service's own health check until it passes; fail with the service's output."""
    deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
    while True:
        asked = subprocess.run(
            service.health,
            env=surroundings(service),
            capture_output=True,
            timeout=30,
            check=False,
        )
        if asked.returncode == 0:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            said = f"{log.read_text()}\n{asked.stderr.decode()}"
            pytest.fail(f"{service.name} is not healthy (exit {process.poll()}):\n{said}")
        time.sleep(0.2)
