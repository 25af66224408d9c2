"""Long runs of the fuzzing, by `FUZZ=50`: that many times the examples, and no time limit."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from tests.fuzz.effort import TIMES

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that was asked to run for hours is not ended after two minutes."""
    for item in items:
        if TIMES > 1 and item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="package", autouse=True)
def _logs() -> Iterator[None]:
    """Lines are made as in service, where one that cannot be made costs an answer; not shown."""

    def make(_: Any, level: str, line: MutableMapping[str, Any]) -> bytes:
        msgspec.json.encode(dict(line, level=level), enc_hook=str)
        raise structlog.DropEvent

    structlog.configure(processors=[make])
    yield
    structlog.reset_defaults()
