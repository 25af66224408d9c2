"""The configuration and the open store for one command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from innkeeper_console.cli.failing import Failed

if TYPE_CHECKING:
    from innkeeper.config import Config
    from innkeeper.operations.desk import Desk


def read_config(config: Path | None, data: Path | None) -> Config:
    """The configuration, with the keys that are there. Raises ConfigFaults."""
    from innkeeper.config import load_config
    from innkeeper.logs import set_up_logs

    # Not to standard output, where the answer goes. A service that is started sets up its own.
    set_up_logs("cli", for_good=False)
    return load_config(config, os.environ, data=data)


@contextmanager
def opened(config: Path | None, data: Path | None) -> Iterator[Desk]:
    """The desk, for as long as a command runs. Raises ConfigFaults, Failed where no store runs."""
    from innkeeper.config import require_keys
    from innkeeper.operations.desk import open_desk
    from innkeeper.store.errors import StoreUnavailable

    read = read_config(config, data)
    where = _where(read)
    require_keys(read)
    try:
        desk = open_desk(read)
    except StoreUnavailable as error:
        raise _no_store(where) from error
    try:
        yield desk
    finally:
        desk.close()


def _where(config: Config) -> str:
    """Where the store is, without a password. Raises Failed where it cannot be running."""
    from innkeeper import runtime
    from innkeeper.config.hosts import without_password

    if config.store.url:
        return without_password(config.store.url)
    socket = runtime.socket_path(config.data, "store")
    if not socket.exists():
        raise _no_store(str(socket))
    return str(socket)


def _no_store(where: str) -> Failed:
    return Failed(f"no store runs at {where}: start `innkeeper up`")
