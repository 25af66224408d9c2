"""What connecting an app to its marketplace needs and tells, whichever marketplace it is.

Used by each marketplace's `connecting` and by the operation that runs it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from innkeeper.config import App
from innkeeper.durable import put, write_draft


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or found to be done already.

    `key_file`: where a public key was put, or is. `configuration`: TOML for `innkeeper.toml`.
    """

    what: str
    changed: bool = False
    key_file: str | None = None
    configuration: str | None = None


class KeyFolder:
    """The files of public keys that a marketplace shows once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make sure that a key can be kept, before one is shown. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_draft(self._folder / "key", b"").unlink()

    def find(self, name: str) -> Path | None:
        """The file of that name; None where there is none."""
        path = self._folder / name
        return path if path.is_file() else None

    def keep(self, name: str, pem: str) -> Path:
        """Write a key, readable to its owner alone; on disk when this returns. Raises OSError."""
        path = self._folder / name
        put(path, pem.encode())
        return path


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where deliveries are to go. `hooks`: the URL over all hooks of the marketplace.

    `apps`: all that are configured.
    """

    hooks: str
    keys: KeyFolder
    apps: tuple[App, ...]
