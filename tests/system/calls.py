"""What the vendor's functions have noted: the lines that `vendor/acme_hooks.py` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.processes import soon


class Calls:
    """The file of a module's inn."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> list[dict[str, Any]]:
        """Every call, in order."""
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def about(self, instance: str) -> list[dict[str, Any]]:
        """The calls for one instance, in order."""
        return [call for call in self.all() if call["instance"] == instance]

    def until(self, instance: str, count: int, within_seconds: float = 15.0) -> list[str]:
        """The names of an instance's transitions, once so many were called for."""
        assert soon(lambda: len(self.about(instance)) >= count, within_seconds), self.all()
        return [call["name"] for call in self.about(instance)]
