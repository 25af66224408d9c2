"""The simulator is the other side."""

from __future__ import annotations

import ast
from pathlib import Path

import simulator

OURS = ("innkeeper", "innkeeper_receiver", "innkeeper_workers", "innkeeper_console", "tests")


def test_it_knows_nothing_of_the_product():
    """No file of it imports anything of the product or of its tests."""
    assert simulator.__file__ is not None
    names = set()
    for file in Path(simulator.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
    assert "simulator" in names
    assert names.isdisjoint(OURS)
