"""Replays a file straight into the log: for operators, without any check of signatures.

Each line is appended under a nonce made of the file, so that the same file again does nothing; and
the same lines can be rehearsed against the register as it is, without writing anything.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from innkeeper.bells import BellName
from innkeeper.lifecycle.errors import Impossible
from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.machine import REPEATS_NOTHING, Arrival, fold
from innkeeper.operations.captured import CapturedLine, ReadLine
from innkeeper.operations.deliveries import find_delivery
from innkeeper.operations.desk import Desk
from innkeeper.operations.replay import CannotReplay, nonce, reread
from innkeeper.operations.replay_lines import Report, captured_of, replay_lines
from innkeeper.store.entry import EntrySource, NewEntry, new_delivery_id

_PIECE_BYTES = 1 << 20


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal would change about an instance. `from_status`: None where it is not known.

    `transitions`: their names, in order. `secrets`: the names of those that are new or replaced.
    """

    instance: str
    from_status: Status | None
    to_status: Status
    transitions: tuple[str, ...]
    secrets: tuple[str, ...]


def file_digest(file: BinaryIO) -> str:
    """SHA-256 of a whole file, which is wound back to its beginning."""
    digest = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()


def append_lines(
    desk: Desk, lines: Iterable[ReadLine], digest: str, *, follow_ups: bool = False
) -> Report:
    """Append each line. `follow_ups`: whether what had an effect before sets off anything again.

    Raises MissingKey, Damaged, StoreError, StoreUnavailable.
    """

    def take(line: CapturedLine, number: int) -> tuple[str, str]:
        entry = _entry(desk, line, nonce(digest, str(number)), follow_ups=follow_ups)
        return ("duplicate" if desk.log.append(entry).duplicate else "accepted"), ""

    report = replay_lines(lines, take)
    desk.bells[BellName.APPLY].ring()
    return report


def rehearse_lines(desk: Desk, lines: Iterable[ReadLine]) -> tuple[Report, list[Change]]:
    """Fold each line in memory, on top of the register as it is; what would change.

    Raises MissingKey, StoreError, StoreUnavailable.
    """
    rehearsal = _Rehearsal(desk)
    report = replay_lines(lines, rehearsal.take)
    return report, rehearsal.changes()


class _Rehearsal:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._before: dict[InstanceKey, Instance | None] = {}
        self._after: dict[InstanceKey, Instance | None] = {}
        self._transitions: dict[InstanceKey, list[str]] = {}

    def take(self, line: CapturedLine, number: int) -> tuple[str, str]:
        entry = _entry(self._desk, line, nonce(str(number)), follow_ups=False)
        if entry.mark is None and not entry.instance.is_pseudo and not self._had_effect(entry):
            try:
                self._fold(entry)
            except Impossible as error:
                return "failed", str(error)
        return "accepted", ""

    def changes(self) -> list[Change]:
        found = []
        for key in sorted(self._after):
            before, after = self._before[key], self._after[key]
            transitions = tuple(self._transitions.get(key, ()))
            if after is not None and (after != before or transitions):
                found.append(_change(before, after, transitions))
        return found

    def _had_effect(self, entry: NewEntry) -> bool:
        return bool(entry.replays) and _outcome(self._desk, entry.replays) in REPEATS_NOTHING

    def _fold(self, entry: NewEntry) -> None:
        key = entry.instance
        if key not in self._after:
            line = self._desk.register.line(key)
            self._before[key] = self._after[key] = line.instance if line else None
        moment = datetime.fromtimestamp(entry.at, UTC)
        arrival = Arrival(delivery=entry.delivery, at=moment, signer=entry.signer)
        folded = fold(self._after[key], key, entry.event, arrival, self._desk.digests.of(key))
        self._after[key] = folded.instance
        names = self._transitions.setdefault(key, [])
        names += [str(happening.name) for happening in folded.happenings]


def _change(before: Instance | None, after: Instance, transitions: tuple[str, ...]) -> Change:
    known = before.secrets if before else {}
    return Change(
        instance=str(after.key),
        from_status=before.status if before else None,
        to_status=after.status,
        transitions=transitions,
        secrets=tuple(
            name
            for name, slot in sorted(after.secrets.items())
            if name not in known or known[name].current.digest != slot.current.digest
        ),
    )


def _entry(desk: Desk, line: CapturedLine, claim: bytes, *, follow_ups: bool) -> NewEntry:
    """A line as an entry; as of its arrival where that delivery is kept. Raises CannotReplay."""
    now, captured = time.time(), captured_of(line)
    original = find_delivery(desk, line.id) if line.id else None
    admitted = reread(desk, line.platform, captured, original.at if original else now)
    try:
        delivery = new_delivery_id(admitted.instance, now=now)
    except UnicodeEncodeError as error:
        raise CannotReplay("its instance's name is no text") from error
    return NewEntry(
        delivery=delivery,
        instance=admitted.instance,
        at=now,
        source=EntrySource.REPLAY,
        event=admitted.event,
        mark=admitted.mark,
        signer="operator",
        claims=(claim,),
        replays=original.delivery if original else None,
        follow_ups=follow_ups,
        captured=captured,
    )


def _outcome(desk: Desk, delivery: DeliveryId | None) -> str:
    return desk.log.outcome(delivery).partition(" ")[0] if delivery else ""
