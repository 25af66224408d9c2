"""The file of the key ring beside running services: they follow it, and `secrets rotate` writes it.

Whatever is wrong with the file changes nothing and is logged once. Never quotes a key.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from innkeeper.config.faults import ConfigFaults
from innkeeper.config.keys import read_keys_file
from innkeeper.config.reading import Reading
from innkeeper.config.sections import Config
from innkeeper.durable import sync_folder, write_draft
from innkeeper.logs import get_logger
from innkeeper.secrets import KeyRing, id_of_key

_RETIRED_HEAD = """\
# Keys that `innkeeper secrets rotate` took out of use. Nothing reads this file. They open older
# backups of the store: delete the file once none of those is needed any more.
"""
log = get_logger()


class KeysBusy(Exception):
    """Another process is at the key file."""


class FollowedKeys:
    """Gives the keys of a file when it has been exchanged or changed since the last look."""

    def __init__(self, path: Path, keys: tuple[bytes, ...]) -> None:
        """Follow `path`, which held `keys` a moment ago; the first look reads it all the same."""
        self._path = path
        self._keys = keys
        self._seen: tuple[int, ...] | None = None

    def __call__(self) -> tuple[bytes, ...] | None:
        """The keys of the file, where it is another; None, where it is not or cannot be used."""
        # Taken before it is read: what is changed meanwhile is read again at the next look.
        mark = self._mark()
        if mark == self._seen:
            return None
        self._seen = mark
        reading = Reading({}, self._path.parent)
        keys = read_keys_file(reading, self._path)
        if reading.faults or not keys:
            why = "; ".join(fault.message for fault in reading.faults) or "does not exist"
            log.error("secret_keys.unusable", path=str(self._path), error=why)
            return None
        if keys == self._keys:
            return None
        self._keys = keys
        log.info("secret_keys.changed", keys=[id_of_key(key).hex() for key in keys])
        return keys

    def _mark(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError as error:
            return (error.errno or 0,)
        times = (found.st_mtime_ns, found.st_ctime_ns)
        return (found.st_dev, found.st_ino, found.st_mode, found.st_size, *times)


def open_ring(config: Config) -> KeyRing:
    """The configured ring; where its keys come from a file, it follows that file."""
    keys, path = config.secret_keys, config.secret_keys_file
    return KeyRing(keys, FollowedKeys(path, keys) if path else None)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other rotations away from the key file. Raises KeysBusy, OSError."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise KeysBusy(f"another rotation is at {path}") from error
        yield
    finally:
        os.close(descriptor)


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys of the file. Raises ConfigFaults."""
    reading = Reading({}, path.parent)
    keys = read_keys_file(reading, path)
    if not keys and not reading.faults:
        reading.fault(str(path), "does not exist")
    if reading.faults:
        raise ConfigFaults(reading.faults)
    return keys


def add_key(path: Path) -> tuple[bytes, ...]:
    """Put a new key in front of the others; all of them. Raises ConfigFaults, OSError."""
    keys = (secrets.token_bytes(32), *read_keys(path))
    _replace(path, keys)
    return keys


def retire_keys(path: Path, kept: bytes) -> int:
    """Leave the key `kept`, the first, alone in the file, and the others beside it; how many.

    Raises KeysBusy where another is the first by now, ConfigFaults, OSError.
    """
    first, *others = read_keys(path)
    if first != kept:
        raise KeysBusy(f"somebody has changed {path} meanwhile: nothing is retired, run it again")
    if others:
        # In this order: a key that stands in both files is harmless, one in neither is lost.
        _keep_retired(retired_path(path), others)
        _replace(path, [first])
    return len(others)


def retired_path(path: Path) -> Path:
    """Where the keys are kept that were taken out of the key file at `path`."""
    return path.with_name(f"{path.name}.retired")


def _replace(path: Path, keys: Sequence[bytes]) -> None:
    path = path.resolve()
    owner = path.stat()
    draft = write_draft(path, "".join(f"{_text(key)}\n" for key in keys).encode())
    try:
        if os.geteuid() != owner.st_uid:
            os.chown(draft, owner.st_uid, owner.st_gid)  # the services have to read it
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def _keep_retired(path: Path, keys: Sequence[bytes]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        known = file.read()
        file.write("" if known else _RETIRED_HEAD)
        file.writelines(f"{_text(key)}\n" for key in keys if _text(key) not in known)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
