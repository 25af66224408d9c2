"""A scratch register: one partition's bases with its log folded on top, beside the live lines.

Used by `rebuild`, a new one for each look. Reads only.

Beside live traffic: a line is read together with its base and the cursor, and then of the log only
what lies before that; what apply adds meanwhile lies behind it. Only what drops entries, trimming
and forgetting, can spoil a look, and their counters tell.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.instance import Instance
from innkeeper.lifecycle.transitions import Transition
from innkeeper.operations.comparing import Difference, compare_records, compare_transitions
from innkeeper.operations.desk import Desk
from innkeeper.operations.refolding import refold, was_folded
from innkeeper.secrets import Damaged, MissingKey
from innkeeper.store import stored_entries, stored_lines
from innkeeper.store.bases import Base
from innkeeper.store.entry import Entry, place
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.register import names_in, open_secret, secret_fields
from innkeeper.store.stored_lines import StoredLine

_PIECE = 200


class _Folded:
    """An instance as bases and log have it so far; `steps`: its transitions after number `told`."""

    def __init__(self, base: Base) -> None:
        self.unchecked = base.unchecked
        self.instance = base.instance
        self.told = base.instance.transitions if base.instance else 0
        self.steps: list[Transition] = []

    def become(self, instance: Instance | None, steps: Iterable[Transition]) -> None:
        self.instance = instance
        self.steps += [step for step in steps if step.number]
        if instance is None:
            # Forgotten: whoever comes back begins anew.
            self.told, self.steps = 0, []


class Scratch:
    """One look at a partition. Raises StoreError, StoreUnavailable."""

    def __init__(self, desk: Desk, partition: int, names: set[str] | None) -> None:
        """Read and fold; `names`: the instances to look at, all where it is None."""
        self._desk = desk
        self._partition = partition
        self._names = names
        self._dropped = stored_entries.dropped(desk.store, partition)
        self._cursor = place(stored_entries.cursor(desk.store, partition))
        millis, number = self._cursor
        self._first = millis, number + 1  # where the log begins, if it is empty
        self._lines: dict[str, Instance] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._created: dict[str, bytes] = {}
        self._folded: dict[str, _Folded] = {}
        self._broken: set[str] = set()
        self._found: list[Difference] = []
        self.entries = 0
        self._read_lines()
        self._fold_log()
        self._compare()

    @property
    def instances(self) -> int:
        """How many instances were looked at."""
        return len(self._lines)

    @property
    def differences(self) -> list[Difference]:
        """All that differs, by instance."""
        return sorted(self._found, key=lambda one: (one.instance, one.what))

    @property
    def unchecked(self) -> dict[str, str]:
        """The instances that cannot be held against the log, and why."""
        return {n: one.unchecked for n, one in sorted(self._folded.items()) if one.unchecked}

    @property
    def disturbed(self) -> bool:
        """Whether entries were dropped since the look began, or who differs has been forgotten.

        Then the differences may be none.
        """
        store, names = self._desk.store, sorted({one.instance for one in self._found})
        now = {one.name: one.created for one in stored_lines.lines(store, self._partition, names)}
        reborn = any(now[name] != self._created.get(name, b"") for name in names)
        return reborn or self._dropped != stored_entries.dropped(store, self._partition)

    def _read_lines(self) -> None:
        store = self._desk.store
        pieces = names_in(store, self._partition)
        for names in pieces if self._names is None else [sorted(self._names)]:
            for stored in stored_lines.lines(store, self._partition, names):
                self._read_line(stored)
        if self._names is None:
            for name, base in self._desk.bases.all(self._partition):
                if name not in self._lines:
                    self._folded.setdefault(name, _Folded(base))

    def _read_line(self, stored: StoredLine) -> None:
        if stored.base:
            self._folded[stored.name] = _Folded(stored.base)
        self._seen[stored.name] = place(stored.cursor)
        self._created[stored.name] = stored.created
        if not stored.record:
            return
        try:
            line = msgspec.json.decode(stored.record, type=Instance)
        except msgspec.DecodeError as error:
            self._break(stored.name, "record", f"cannot be read: {error}")
            return
        self._lines[stored.name] = line
        self._compare_secrets(line, stored.secrets)

    def _fold_log(self) -> None:
        for entries in self._desk.log.pieces(self._partition, limit=_PIECE):
            if not self.entries:
                self._first = place(entries[0].stream_id)
            wanted = [entry for entry in entries if self._wants(entry)]
            sealed = stored_entries.sealed_events(self._desk.store, self._partition, wanted)
            for entry, event in zip(wanted, sealed, strict=True):
                self._fold(msgspec.structs.replace(entry, sealed=event or b""))
            self.entries += len(entries)

    def _wants(self, entry: Entry) -> bool:
        """Whether an entry belongs to what was read of its instance."""
        name = str(entry.instance)
        wanted = self._names is None or name in self._names
        if not wanted or not was_folded(entry) or name in self._broken:
            return False
        known = self._folded.get(name)
        if known and known.unchecked:
            return False
        return place(entry.stream_id) <= self._seen.get(name, self._cursor)

    def _fold(self, entry: Entry) -> None:
        name = str(entry.instance)
        if name in self._broken:
            return
        known = self._folded.setdefault(name, _Folded(Base()))
        try:
            event = entry.event(self._desk.ring)
            digest = self._desk.digests.of(entry.instance)
            folded = refold(known.instance, entry, event, digest)
        except (StoreError, StoreUnavailable):
            raise
        except Exception as error:
            reason = f"cannot be folded: {type(error).__name__}: {error}"
            self._break(name, f"entry {entry.delivery}", entry.outcome, reason[:300])
            return
        known.become(folded.instance, folded.happenings)

    def _break(self, name: str, what: str, live: str, rebuilt: str | None = None) -> None:
        """Note what makes an instance incomparable."""
        self._broken.add(name)
        self._found.append(Difference(instance=name, what=what, live=live, rebuilt=rebuilt))

    def _compare(self) -> None:
        for name, line in self._lines.items():
            # Only of one whose last entry has been trimmed may nothing else tell.
            if name not in self._folded and place(line.entry) >= self._first:
                self._found += compare_records(name, line, None)
        whole = {n: o for n, o in self._folded.items() if n not in self._broken and not o.unchecked}
        for name, known in whole.items():
            self._found += compare_records(name, self._lines.get(name), known.instance)
        lines = sorted(whole.keys() & self._lines.keys())
        for history in stored_lines.histories(self._desk.store, self._partition, lines):
            name, told = history.name, whole[history.name].told
            last = self._lines[name].transitions
            kept = [step for step in history.transitions if step and told < step.number <= last]
            self._found += compare_transitions(name, kept, whole[name].steps)

    def _compare_secrets(self, line: Instance, sealed: dict[str, bytes]) -> None:
        fields = secret_fields(line)
        for field in sorted(fields.keys() | sealed.keys()):
            name, digest = fields.get(field) or (field.partition("\n")[0], None)
            live = self._digest_of(line.key, name, sealed.get(field))
            if live != digest:
                self._found.append(
                    Difference(
                        instance=str(line.key), what=f"secret {name}", live=live, rebuilt=digest
                    )
                )

    def _digest_of(self, key: InstanceKey, name: str, sealed: bytes | None) -> str | None:
        """The digest of a value that is kept, or why there is none."""
        if sealed is None:
            return None
        try:
            value = open_secret(self._desk.ring, key, name, sealed)
        except (MissingKey, Damaged, msgspec.DecodeError) as error:
            return f"cannot be opened: {error}"
        return self._desk.digests.of(key)(name, value)
