"""Files that are whole and on disk, or not there at all, and that nobody else may read.

Used by whoever keeps something beside the store: keys, the spool, the last known epoch. It must not
know what is in them.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Put a file in its place, or in that of another; on disk when this returns. Raises OSError."""
    draft = write_draft(path, content)
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_draft(path: Path, content: bytes) -> Path:
    """A file beside `path`, mode 0600, on disk, to be put in its place. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft


def sync_folder(folder: Path) -> None:
    """Have on disk which files a folder holds. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
