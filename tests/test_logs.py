"""Log lines go to standard error, and never stop what they tell of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WRITE = """
from innkeeper.logs import get_logger, set_up_logs
set_up_logs("test")
for number in range(100):
    get_logger().info("line", number=number, text="x" * 1000)
print("went on")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk as a device: Linux only")
def test_a_full_disk_stops_nobody():
    """Whoever logs goes on, though no line can be written."""
    path = os.pathsep.join(filter(None, sys.path))
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [sys.executable, "-c", WRITE],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
        )
    assert process.stdout == b"went on\n"
