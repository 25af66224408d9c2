"""Whether the store may be trusted with what its clients are told is safe.

Receiver and workers ask at their start and at intervals, `doctor` on demand. It looks and judges;
what follows from a finding is the caller's business.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from innkeeper.config.hosts import is_loopback
from innkeeper.config.sections import Durability
from innkeeper.store.connection import Command, Store
from innkeeper.store.errors import StoreError

Verdict = Literal["fine", "wrong", "unchecked", "warning"]

_SETTINGS = (
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory-policy",
    "save",
    "stop-writes-on-bgsave-error",
    "dir",
    "appenddirname",
)
INSPECT_SECONDS = 30.0
_NEARLY_FULL = 0.75
_LEAST_VERSIONS = {"Redis": (7, 0), "Valkey": (7, 2)}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one thing. `value`: as the server has it, None where that is hidden.

    `said`: a sentence for people. `passing`: it may come right without a change of the settings
    (a full disk), and so is no reason not to start.
    """

    name: str
    verdict: Verdict
    value: str | None
    said: str
    passing: bool = False


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the server told of itself; settings and fields that it hides are missing."""

    url: str
    durability: Durability
    info: Mapping[str, Any]
    settings: Mapping[str, str]

    def told(self, field: str) -> str | None:
        """A field of INFO."""
        value = self.info.get(field)
        return None if value is None else str(value)

    def number(self, field: str) -> int:
        """A number of INFO; 0 where it is hidden."""
        return int(self.info.get(field) or 0)


def inspect(store: Store, durability: Durability) -> list[Finding]:
    """Look at the store's settings and state, in one round trip. Raises StoreUnavailable.

    `durability`: what the operator accepts to lose in a power cut.
    """
    asked: list[Command] = [("INFO",), *(("CONFIG", "GET", name) for name in _SETTINGS)]
    info, *settings = store.attempt(asked)
    seen = _Seen(
        url=store.url,
        durability=durability,
        info={} if isinstance(info, StoreError) else info,
        settings=dict(pair for answer in settings for pair in _pairs(answer)),
    )
    return [finding for check in _CHECKS if (finding := check(seen)) is not None]


def refusal(findings: Iterable[Finding]) -> str | None:
    """Why the store must not be used: all that is wrong; None if nothing is."""
    wrong = [finding.said for finding in findings if finding.verdict == "wrong"]
    return f"the store cannot be trusted: {' '.join(wrong)}" if wrong else None


def refusal_to_start(findings: Iterable[Finding]) -> str | None:
    """Why nobody may start with the store; what may come right by itself keeps nobody away."""
    return refusal(finding for finding in findings if not finding.passing)


class Inspections:
    """When to inspect: every 30 s, whenever another server may answer, and while it is wrong."""

    def __init__(self) -> None:
        self._run: str | None = None
        self._again_at = 0.0

    def is_due(self, run: str) -> bool:
        """Whether the server, which says that this is its `run`, is to be inspected."""
        return run != self._run or time.monotonic() >= self._again_at

    def passed(self, run: str) -> None:
        """It was inspected, and nothing is wrong."""
        self._run, self._again_at = run, time.monotonic() + INSPECT_SECONDS

    def interrupted(self) -> None:
        """It was away: what answers next may be another, or the same with other settings."""
        self._run = None


def _pairs(answer: Any) -> list[tuple[str, str]]:
    """What CONFIG GET answered; nothing where the server does not let us ask."""
    if isinstance(answer, StoreError):
        return []
    pairs = answer.items() if isinstance(answer, dict) else zip(*[iter(answer)] * 2, strict=True)
    return [(name.decode(), value.decode()) for name, value in pairs]


def _finding(
    name: str, verdict: Verdict, value: str | None, said: str, *, passing: bool = False
) -> Finding:
    return Finding(name=name, verdict=verdict, value=value, said=said, passing=passing)


def _append_only(seen: _Seen) -> Finding:
    name, value = "append-only file", seen.settings.get("appendonly")
    if value is None and (enabled := seen.told("aof_enabled")) is not None:
        value = "yes" if enabled == "1" else "no"
    if value is None:
        return _finding(name, "unchecked", None, _ask("each write is put on disk (appendonly yes)"))
    if value == "yes":
        return _finding(name, "fine", value, "Writes are put into the append-only file.")
    if seen.durability == "memory":
        return _finding(name, "fine", value, _accepted("There is no append-only file", seen))
    said = (
        "There is no append-only file, so all that was answered 202 is lost when the server ends: "
        "set appendonly yes."
    )
    return _finding(name, "wrong", value, said)


def _fsync(seen: _Seen) -> Finding:
    name, value = "fsync", seen.settings.get("appendfsync")
    good = {"fsync": ("always",), "everysec": ("always", "everysec")}.get(seen.durability)
    if good is None:
        return _finding(name, "fine", value, _accepted("When it is written does not matter", seen))
    if value is None:
        return _finding(name, "unchecked", None, _ask(f"appendfsync is {' or '.join(good)}"))
    if value not in good:
        said = (
            f"Answers are given before the disk has what was written (appendfsync {value}), so a "
            f"power cut loses what was answered 202: set appendfsync {good[0]}"
        )
        choice = ', or accept the loss with [store] durability = "everysec".'
        return _finding(name, "wrong", value, said + (choice if value == "everysec" else "."))
    if value == "always":
        return _finding(name, "fine", value, "What is answered is on disk.")
    return _finding(name, "fine", value, _accepted("A power cut loses up to 2 s", seen))


def _fsync_on_rewrite(seen: _Seen) -> Finding:
    name, value = "fsync during a rewrite", seen.settings.get("no-appendfsync-on-rewrite")
    if seen.durability == "memory":
        return _finding(name, "fine", value, _accepted("When it is written does not matter", seen))
    if value is None:
        return _finding(name, "unchecked", None, _ask("no-appendfsync-on-rewrite is no"))
    if value == "no":
        return _finding(name, "fine", value, "A rewrite of the file does not put off the fsync.")
    said = (
        "While the append-only file is rewritten nothing is synced, so a power cut loses up to "
        "half a minute of what was answered 202: set no-appendfsync-on-rewrite no."
    )
    return _finding(name, "wrong", value, said)


def _eviction(seen: _Seen) -> Finding:
    name = "eviction"
    value = seen.settings.get("maxmemory-policy") or seen.told("maxmemory_policy")
    if value is None:
        return _finding(name, "unchecked", None, _ask("maxmemory-policy is noeviction"))
    if value == "noeviction":
        return _finding(name, "fine", value, "A full store refuses writes and throws nothing away.")
    what = "the claims that tell duplicates" if value.startswith("volatile") else "deliveries"
    said = f"A full store throws away {what} (maxmemory-policy {value}): set it to noeviction."
    return _finding(name, "wrong", value, said)


def _version(seen: _Seen) -> Finding:
    name, server = "version", "Valkey" if seen.told("valkey_version") else "Redis"
    version = seen.told(f"{server.lower()}_version")
    parts = re.match(r"(\d+)\.(\d+)", version or "")
    least = _LEAST_VERSIONS[server]
    least_text = ".".join(map(str, least))
    if parts is None:
        return _finding(name, "unchecked", version, _ask("it is Redis 7.0, Valkey 7.2 or later"))
    value = f"{server} {version}"
    if (int(parts[1]), int(parts[2])) >= least:
        return _finding(name, "fine", value, f"{server} {least_text} or later is needed.")
    said = (
        f"It is {value}, and our scripts need {server} {least_text} or later (EXPIREAT with NX): "
        "upgrade the server."
    )
    return _finding(name, "wrong", value, said)


def _role(seen: _Seen) -> Finding:
    name, value = "role", seen.told("role")
    if value is None:
        return _finding(name, "unchecked", None, _ask("this is the primary"))
    if value == "master":
        return _finding(name, "fine", "primary", "It is the primary.")
    said = "It is a replica, which takes no writes: [store] url has to name the primary."
    return _finding(name, "wrong", "replica", said)


def _writes(seen: _Seen) -> Finding:
    """Whether the server has stopped taking writes because it cannot put them on its disk."""
    name = "writes"
    if not seen.info:
        return _finding(name, "unchecked", None, _ask("its disk has room"))
    if seen.told("aof_last_write_status") == "err":
        said = (
            "It cannot write its append-only file and takes no writes until it can: "
            "make room on its disk (its log says what is wrong)."
        )
        return _finding(name, "wrong", "refused", said, passing=True)
    stops = seen.settings.get("stop-writes-on-bgsave-error") == "yes" and seen.settings.get("save")
    if stops and seen.told("rdb_last_bgsave_status") == "err":
        said = (
            "Its last snapshot failed and it takes no writes until one succeeds: make room on its "
            'disk, or set save "", for the append-only file is enough.'
        )
        return _finding(name, "wrong", "refused", said, passing=True)
    return _finding(name, "fine", "taken", "It takes writes.")


def _rewrite(seen: _Seen) -> Finding | None:
    name, value = "last rewrite", seen.told("aof_last_bgrewrite_status")
    if value is None or seen.told("aof_enabled") != "1":
        return None
    if value == "ok":
        return _finding(name, "fine", value, "The append-only file can be rewritten.")
    said = (
        "The last rewrite of the append-only file failed, and the file grows until one succeeds: "
        "see the server's log (often vm.overcommit_memory, which should be 1, or a full disk)."
    )
    return _finding(name, "warning", value, said)


def _memory(seen: _Seen) -> Finding:
    name, used, most = "memory", seen.number("used_memory"), seen.number("maxmemory")
    if "maxmemory" not in seen.info:
        return _finding(name, "unchecked", None, _ask("how much memory the store has"))
    if not most:
        return _finding(name, "fine", _mebibytes(used), "It may use all memory there is.")
    value = f"{_mebibytes(used)} of {_mebibytes(most)}"
    if used < _NEARLY_FULL * most:
        return _finding(name, "fine", value, "There is room below maxmemory.")
    said = (
        f"It is {used / most:.0%} full, and a full store takes no deliveries: raise maxmemory, or "
        "lower [retention] deliveries_bytes."
    )
    return _finding(name, "warning", value, said)


def _disk(seen: _Seen) -> Finding | None:
    """Whether there is room for a rewrite; None for a store whose disk we cannot see."""
    folder = _folder(seen)
    if folder is None:
        return None
    free = shutil.disk_usage(folder).free
    needed = seen.number("aof_base_size") + seen.number("used_memory")
    value = f"{_mebibytes(free)} free"
    if free >= needed:
        return _finding("disk", "fine", value, "There is room for a rewrite.")
    said = (
        f"A rewrite of the append-only file may take {_mebibytes(needed)}, and without one the "
        f"disk fills up: make room in {folder}."
    )
    return _finding("disk", "warning", value, said)


def _folder(seen: _Seen) -> Path | None:
    """The folder of the append-only file, if the server is on this host and has one."""
    parts = urlsplit(seen.url)
    here = parts.scheme == "unix" or is_loopback(parts.hostname or "")
    named = (seen.settings.get("dir"), seen.settings.get("appenddirname"))
    if here and seen.settings.get("appendonly") == "yes" and all(named):
        with contextlib.suppress(OSError):
            folder = Path(*(name for name in named if name))
            return folder if folder.is_dir() else None
    return None


def _ask(what: str) -> str:
    return f"The server does not say; ask its provider whether {what}."


def _accepted(what: str, seen: _Seen) -> str:
    return f'{what}: [store] durability = "{seen.durability}" accepts that.'


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB"


_CHECKS: tuple[Callable[[_Seen], Finding | None], ...] = (
    _append_only,
    _fsync,
    _fsync_on_rewrite,
    _eviction,
    _version,
    _role,
    _writes,
    _rewrite,
    _memory,
    _disk,
)
