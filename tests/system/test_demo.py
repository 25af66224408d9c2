"""`make demo`: three marketplaces live, and nothing left of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_shows_three_marketplaces_and_leaves_nothing(tmp_path):
    """Customers of each come and go, tenants are opened and closed, and the folder goes with it."""
    shown = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), "--seconds", "25", "--seed", "3"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (0, "")
    last = shown.stdout[shown.stdout.rindex("customer") :]
    for platform in ("xurrent/", "rebilly/", "xandr/"):
        assert platform in shown.stdout
    assert re.search(r"enabled \d+", last)
    assert re.search(r"tenants [1-9]", last)
    assert list(tmp_path.iterdir()) == []
    assert not list(Path(tempfile.gettempdir()).glob("innkeeper-demo-*"))
