"""What of a store's append-only file is on disk: strace watches its writes and its fsyncs.

So that the power can be cut: the server is killed, and what no completed fsync covers is cut off.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.processes import soon
from tests.store.servers import Server

_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_RESULT = re.compile(r"= (-?\d+)[^=]*$")


class Fsyncs:
    """Watches a running server until its power is cut; attach it before there is any load."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.file = next((server.folder / "appendonlydir").glob("*.incr.aof"))
        self._begun = self.file.stat().st_size
        self._told = server.folder / "strace.out"
        log = (server.folder / "strace.log").open("wb")
        with log:
            self._strace = subprocess.Popen(
                ["strace", "-f", "-s", "0", "-o", str(self._told), "-P", str(self.file),
                 "-e", "trace=write,fsync,fdatasync", "-p", str(server.pid)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        assert soon(lambda: self._is_traced()), (server.folder / "strace.log").read_text()

    def cut_the_power(self, torn: float = 0.0) -> int:
        """Kill the server and cut its file back to what is on disk; how many bytes were lost.

        `torn`: which share of those bytes reached the disk all the same.
        """
        self._server.kill()
        self._strace.wait(20)
        synced = self._begun + synced_bytes(self._told)
        size = self.file.stat().st_size
        assert synced <= size
        os.truncate(self.file, synced + int((size - synced) * torn))
        return size - synced

    def close(self) -> None:
        """Let go of the server."""
        self._strace.kill()
        self._strace.wait()

    def _is_traced(self) -> bool:
        status = Path(f"/proc/{self._server.pid}/status").read_text()
        return f"TracerPid:\t{self._strace.pid}" in status


def synced_bytes(told: Path) -> int:
    """How many of the bytes written were covered by an fsync that had ended."""
    written = synced = 0
    syncing: dict[str, int] = {}
    for line in told.read_text().splitlines():
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        name = rest.removeprefix("<... ").partition("(" if "(" in rest[:12] else " ")[0]
        ended = _RESULT.search(rest) if "<unfinished" not in rest else None
        if name == "write" and ended:
            written += max(0, int(ended[1]))
        elif name in ("fsync", "fdatasync"):
            if not rest.startswith("<..."):
                syncing[thread] = written
            if ended and ended[1] == "0":
                synced = max(synced, syncing.pop(thread))
    return synced
