"""The system tests stand outside: they know the product by its contract alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent
OURS = ("innkeeper", "innkeeper_receiver", "innkeeper_workers", "innkeeper_console")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files() -> Iterator[Path]:
    """Our files and all that they import of the other tests; the vendor's code is not ours."""
    waiting, seen = list(HERE.glob("*.py")), set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        yield path
        for name in imported(path):
            beside = TESTS.parent.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith("tests.") and beside.exists():
                waiting.append(beside)


def test_nothing_of_the_product_is_imported():
    """No file of the system tests imports the product, nor anything that does."""
    found = {
        f"{path.relative_to(TESTS)}: {name}"
        for path in files()
        for name in imported(path)
        if name.split(".")[0] in OURS
    }
    assert found == set()
