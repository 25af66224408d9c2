"""What is wrong with a configuration: every fault, each with the path of its value.

Raised by `load_config`, printed by the command line. A message never quotes a secret.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `path`: as in `apps[0].policy.key_file`, or an environment variable, or a file."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigFaults(Exception):
    """The configuration cannot be used; `faults` holds all that is wrong, as a line each in str."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
