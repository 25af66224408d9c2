"""The page on states is what the table of transitions says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_on_states_is_drawn_from_the_table():
    """docs/states.md is exactly what the script draws today."""
    drawing = [sys.executable, str(ROOT / "scripts" / "draw_states.py"), "--check"]
    drawn = subprocess.run(drawing, capture_output=True, text=True, check=False)
    assert (drawn.returncode, drawn.stderr) == (0, "")
