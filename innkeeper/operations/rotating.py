"""Rotates the key ring beside running services: a new key in front, all sealed anew, old keys out.

Asked by operators. Killed anywhere it loses nothing, and run again it goes on where it was. Where
the keys come from the environment, only people can change them: it seals anew and says the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from innkeeper.config.key_file import add_key, locked, read_keys, retire_keys, retired_path
from innkeeper.operations.desk import Desk
from innkeeper.secrets import KeyRing, id_of_key
from innkeeper.spool import look
from innkeeper.store.partitions import PARTITIONS
from innkeeper.store.resealing import Resealing

SEEN_WITHIN_SECONDS = 2.0
"""How soon running services, which look every second, seal with a key that was added."""
ON_ITS_WAY_SECONDS = 3.0
"""How long what was sealed just before may take to be stored: a receiver that has no answer from
the store within 1.5 s has spooled it by then."""
_MOST_PASSES = 10
_STILL_USED = (
    "values are still being sealed with an old key: a running service does not use the new one "
    "(it was started before that was there, or cannot read the key file, as its log says)"
)

Progress = Callable[[int, int, int], None]
"""Told with each partition: the number of the pass, partitions done in it, and all."""


class OneKey(Exception):
    """The environment holds one key alone: there is none to change over to."""


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation has come to. Keys are told by their ids, which are no secret.

    `resealed`: how many values were sealed anew, by what they are. `damaged`: values that no key
    opens. `retired`: how many keys went out of the file, to `retired_to`. `may_go`: keys of the
    environment that nothing is sealed with any more. `kept`: why the old keys are still needed;
    None where they are not.
    """

    key: str
    resealed: dict[str, int]
    passes: int
    damaged: int
    retired: int = 0
    retired_to: str | None = None
    may_go: tuple[str, ...] = ()
    kept: str | None = None


def rotate(desk: Desk, progress: Progress) -> Rotated:
    """Rotate. Raises OneKey, KeysBusy, ConfigFaults, OSError, StoreError, StoreUnavailable."""
    path = desk.config.secret_keys_file
    if path is None:
        return _under_the_first(desk, progress)
    with locked(path):
        keys = read_keys(path)
        if len(keys) == 1:  # else a rotation was interrupted, and goes on
            keys = add_key(path)
        time.sleep(SEEN_WITHIN_SECONDS)
        rotated = _seal_anew(desk, keys, progress)
        if rotated.kept is not None:
            return rotated
        retired = retire_keys(path, keys[0])
        return msgspec.structs.replace(rotated, retired=retired, retired_to=str(retired_path(path)))


def _under_the_first(desk: Desk, progress: Progress) -> Rotated:
    keys = desk.config.secret_keys
    if len(keys) == 1:
        raise OneKey
    rotated = _seal_anew(desk, keys, progress)
    others = tuple(id_of_key(key).hex() for key in keys[1:])
    return msgspec.structs.replace(rotated, may_go=() if rotated.kept else others)


def _seal_anew(desk: Desk, keys: tuple[bytes, ...], progress: Progress) -> Rotated:
    """Seal everything under the first key, until a pass finds nothing under another."""
    sealing = _Sealing(desk, KeyRing(keys), progress)
    kept: str | None = _STILL_USED
    if sealing.until_clean():
        time.sleep(ON_ITS_WAY_SECONDS)
        # Before the last pass: what is drained from the spool before this is found by that one.
        spooled = _spooled(desk)
        kept = (spooled or _missing(sealing.last)) if sealing.until_clean() else _STILL_USED
    return Rotated(
        key=id_of_key(keys[0]).hex(),
        resealed=dict(sealing.resealed),
        passes=sealing.passes,
        damaged=sealing.last.damaged,
        kept=kept,
    )


class _Sealing:
    """The passes of one rotation."""

    def __init__(self, desk: Desk, ring: KeyRing, progress: Progress) -> None:
        self._desk = desk
        self._ring = ring
        self._progress = progress
        self.last = Resealing(desk.store, ring)
        self.resealed: Counter[str] = Counter()
        self.passes = 0

    def until_clean(self) -> bool:
        """Go through the store until there is nothing to do; False if there always is."""
        for _ in range(_MOST_PASSES):
            self._go_through()
            if not self.last.found:
                return True
        return False

    def _go_through(self) -> None:
        self.passes += 1
        self.last = Resealing(self._desk.store, self._ring)
        for partition in self.last.run():
            self._progress(self.passes, partition + 1, len(PARTITIONS))
        self.resealed += self.last.resealed


def _spooled(desk: Desk) -> str | None:
    """Why this host's spool needs the old keys: what it holds was sealed before it was put in."""
    state = look(desk.config.data, now=time.time())
    if state is None or not (state.error or state.deliveries):
        return None
    if state.error:
        return f"whether the spool of this host holds anything cannot be told: {state.error}"
    overdue = f", {state.overdue} of them too old to be drained" if state.overdue else ""
    return f"the spool of this host still holds {state.deliveries} deliveries{overdue}"


def _missing(last: Resealing) -> str | None:
    if not last.missing:
        return None
    ids = ", ".join(f"{id_} ({count} values)" for id_, count in sorted(last.missing.items()))
    return f"what is sealed with these keys cannot be opened, for they are not in the ring: {ids}"
