"""Checks of the key ring: where it is, whether a copy is known, whether it opens what is kept.

Names keys by their ids, as the store does; never shows one.
"""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from innkeeper.config import Config
from innkeeper.config.keys import KEYS_FILE, SECRET_KEYS
from innkeeper.durable import put
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.operations.doctor.findings import fine, unchecked, warning, wrong
from innkeeper.operations.documents import rfc3339
from innkeeper.secrets import Damaged, MissingKey, id_of_key
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.register import open_secret
from innkeeper.store.trust import Finding

_BACKUP_FILE = "keys-backed-up"
_INSTANCES = 50
"""Of each partition."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word that these keys, by their ids, are kept elsewhere as well."""

    keys: list[str]
    at: datetime


def note_backup(config: Config) -> Path:
    """Keep the operator's word that the keys are backed up; where. Raises OSError."""
    backup = Backup(keys=_ids(config), at=datetime.now(UTC))
    path = config.data / _BACKUP_FILE
    put(path, msgspec.json.encode(backup) + b"\n")
    return path


def check(config: Config, *, in_file: bool) -> list[Finding]:
    """Where the keys are, and whether they are known to be anywhere else."""
    path, count = config.data / KEYS_FILE, len(config.secret_keys)
    place = f"{path} (mode {stat.S_IMODE(path.stat().st_mode):04o})" if in_file else SECRET_KEYS
    how_many = f"{count} key{'s' * (count != 1)}"
    return [fine("keys", f"{how_many} in {place}"), _backup(config, in_file=in_file)]


def check_sealed(desk: Desk) -> list[Finding]:
    """Whether the ring opens what is kept: secrets, and the log's both ends.

    Raises StoreError, StoreUnavailable.
    """
    secrets, entries = _open_secrets(desk), _open_entries(desk)
    looked_at = f"{secrets.count} secrets and {entries.count} deliveries were looked at"
    faults = secrets.faults | entries.faults
    if faults:
        why = "; ".join(sorted(faults))
        said = f"not all can be opened ({why}): put the missing key back, behind the others"
        return [wrong("sealed", f"{said}; {looked_at}")]
    return [fine("sealed", f"all that was looked at can be opened; {looked_at}")]


class _Opened(msgspec.Struct):
    """How many were tried, and why any could not be opened."""

    count: int = 0
    faults: set[str] = msgspec.field(default_factory=set)


def _open_secrets(desk: Desk) -> _Opened:
    tried = _Opened()
    found = desk.register.slice(
        "by_id", start="-", end="+", limit=_INSTANCES, reverse=False, by_score=False
    )
    keys = [InstanceKey.parse(name.decode()) for members in found for name, _ in members]
    for key, sealed in zip(keys, desk.register.sealed_secrets(keys), strict=True):
        for field, blob in sealed.items():
            tried.count += 1
            try:
                open_secret(desk.ring, key, field.partition("\n")[0], blob)
            except (MissingKey, Damaged) as error:
                tried.faults.add(str(error))
    return tried


def _open_entries(desk: Desk) -> _Opened:
    tried = _Opened()
    for oldest_first in (True, False):
        starts = dict.fromkeys(PARTITIONS, "-" if oldest_first else "+")
        slices = desk.log.slices(starts, limit=1, oldest_first=oldest_first)
        for partition, entries in enumerate(slices):
            whole = desk.log.at(partition, entries[0].stream_id) if entries else None
            if whole is None:
                continue
            tried.count += 1
            try:
                whole.event(desk.ring)
            except (MissingKey, Damaged) as error:
                tried.faults.add(str(error))
    return tried


def _backup(config: Config, *, in_file: bool) -> Finding:
    name = "keys, backup"
    try:
        known = msgspec.json.decode((config.data / _BACKUP_FILE).read_bytes(), type=Backup)
    except (OSError, msgspec.DecodeError):
        known = None
    if known is not None and set(_ids(config)) <= set(known.keys):
        return fine(name, f"all are kept elsewhere, an operator said at {rfc3339(known.at)}")
    need = "without them nothing in the store can be read"
    if not in_file:
        return unchecked(name, f"{need}: be sure that {SECRET_KEYS} is kept in a second place")
    where = "beside the store itself" if config.store.url is None else "on this host"
    copy = f"copy {config.data / KEYS_FILE} to a safe place and run"
    said = f"the only copy known lies {where}, and {need}: {copy} `innkeeper doctor"
    return warning(name, f"{said} --keys-backed-up`")


def _ids(config: Config) -> list[str]:
    return [id_of_key(key).hex() for key in config.secret_keys]
