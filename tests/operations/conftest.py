"""An inn on the real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MakeDesk
from tests.inn import Inn, config_of


@pytest.fixture
def inn(make_desk: MakeDesk, tmp_path: Path) -> Inn:
    """The usual configuration, nothing stored."""
    return Inn(make_desk(config_of(tmp_path)))
