"""What tests of processes share: a Python process of their own, and looking for what is left."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def python(
    source: str,
    *arguments: object,
    executable: str = sys.executable,
    cwd: Path | None = None,
    **environment: str,
) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `source`, with our imports; its output can be read.

    Killed at the end of the block, whatever happens in it.
    """
    with subprocess.Popen(
        [executable, "-c", source, *(str(argument) for argument in arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def lives(pid: int) -> bool:
    """Whether the process runs; one that has ended and is only not yet reaped does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def soon(condition: Callable[[], bool], within_seconds: float = 10.0) -> bool:
    """Whether the condition comes true in time."""
    give_up_at = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    """A port of the loopback address that nobody listens on just now."""
    with socket.socket() as trying:
        trying.bind(("127.0.0.1", 0))
        return int(trying.getsockname()[1])


def mode_of(path: Path) -> int:
    """The permission bits."""
    return path.stat().st_mode & 0o777
