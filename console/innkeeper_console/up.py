"""`innkeeper up`: the embedded servers and the three services, in the foreground, as one.

The CLI's `up` calls it. It must not know what the services do, only how they are started and
where they answer.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from innkeeper.config import Bind, Config
from innkeeper.runtime import UnsafeFolder
from innkeeper_console.announcing import announcement
from innkeeper_console.embedded import EmbeddedServer
from innkeeper_console.holding import FolderHeld, HeldFolder
from innkeeper_console.processes import EndedEarly, Service
from innkeeper_console.supervising import StopSignals, supervise
from innkeeper_console.valkey import NoServer

_SETTLED_SECONDS = 0.3
_ANSWER_SECONDS = 1.0
# What a killed `up` had started is about to end: as long as a receiver may take to.
_LEFT_OVER_SECONDS = 12.0
_WRONG_CONFIGURATION = 2


class CannotStart(Exception):
    """Something outside stands in the way. The text says what, and what to do."""


def run_up(config: Config, *, config_path: Path | None, echo: Callable[[str], None]) -> int:
    """Run everything until SIGINT or SIGTERM. Returns the exit code.

    0: stopped by a signal; 1: it could not start (said through `echo`), nothing is left running;
    2: a service found the configuration wrong.
    """

    def say(line: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone, the order of stopping holds
            echo(line)

    try:
        with StopSignals() as signals, HeldFolder(config.data) as held:
            patience = _LEFT_OVER_SECONDS if held.left_over else 0.0
            for name, bind in (
                ("receiver", config.receiver.bind),
                ("console", config.console.bind),
            ):
                _refuse_taken(name, bind, signals, patience)
            supervise(
                (embedded_servers(config), services(config, config_path)),
                signals,
                say=say,
                when_ready=lambda: say(announcement(config)),
            )
    except EndedEarly as ended:
        say(str(ended))
        return _WRONG_CONFIGURATION if ended.exit_code == _WRONG_CONFIGURATION else 1
    except (FolderHeld, UnsafeFolder, CannotStart, NoServer, OSError) as why:
        say(f"innkeeper up cannot start: {why}")
        return 1
    return 0


def embedded_servers(config: Config) -> list[EmbeddedServer]:
    """Those that the configuration names no server for, in the order of stopping."""
    servers = []
    if config.queue.url is None:
        servers.append(EmbeddedServer(name="queue", data=config.data, durability="memory"))
    if config.store.url is None:
        store = EmbeddedServer(name="store", data=config.data, durability=config.store.durability)
        servers.append(store)
    return servers


def services(config: Config, config_path: Path | None) -> list[Service]:
    """Receiver, worker and console, in the order of stopping. Raises CannotStart."""
    program = str(_program())
    arguments = ["--data", str(config.data)]
    if source := config.source or config_path:
        arguments += ["--config", str(source)]
    receiver = Service(
        "receiver",
        [program, "receiver", *arguments],
        stop_within_seconds=10,
        answers=lambda: _answers(config.receiver.bind, "/health/ready"),
    )
    worker = Service(
        "worker",
        [program, "worker", *arguments],
        stop_within_seconds=35,
        answers=lambda: worker.alive_seconds >= _SETTLED_SECONDS,
    )
    console = Service(
        "console",
        [program, "console", *arguments],
        stop_within_seconds=5,
        answers=lambda: _answers(config.console.bind, "/health"),
    )
    return [receiver, worker, console]


def _program() -> Path:
    """The `innkeeper` that was installed with this Python, so that its name is to be seen."""
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if os.access(folder / "innkeeper", os.X_OK):
            return folder / "innkeeper"
    if found := shutil.which("innkeeper"):
        return Path(found)
    raise CannotStart("the command `innkeeper` is not installed beside this Python")


def _answers(bind: Bind, path: str) -> bool:
    connection = http.client.HTTPConnection(bind.reached_at, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _refuse_taken(name: str, bind: Bind, signals: StopSignals, patience_seconds: float) -> None:
    give_up_at = time.monotonic() + patience_seconds
    while not signals.asked:
        try:
            _try_bind(bind)
            return
        except OSError as error:
            if time.monotonic() >= give_up_at:
                raise CannotStart(
                    f"{name}: cannot listen on {bind}: {error.strerror}. Stop what listens there,"
                    f" or choose another with INNKEEPER_{name.upper()}_BIND"
                ) from None
        signals.pause(0.1)


def _try_bind(bind: Bind) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as trying:
        # As the servers do: connections of an earlier run that linger do not matter.
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trying.bind(address)
