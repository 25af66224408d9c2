"""Workers with a flaw planted in them: `FLAW=… python flawed_workers.py FOLDER worker …`.

Each is wrong in one way; the suite has to find it. FOLDER: see `halting.py`, whose halts they have
as well. Nothing else may run these.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from innkeeper.lifecycle import facts
from innkeeper.store.commit import Commit
from innkeeper.store.connection import script
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from innkeeper_console.cli import main
from innkeeper_workers import calling, perform
from tests.faults import halting

BEHIND_THE_LOG = "changed behind the log"
_DIES_AT = 3
_CURSOR = "if (redis.call('GET', KEYS[1]) or '0-0') ~= ARGV[1] then return 0 end"
_FENCE = "if redis.call('HGET', KEYS[2], 'fence') ~= fence then return 0 end"
_HEAD = "if redis.call('LINDEX', KEYS[3], 0) ~= id then return 0 end"


def moves_the_cursor_first() -> None:
    """It moves the cursor, and then writes what it has folded; once it dies in between."""
    run, left, died = Commit.run, _DIES_AT, Path("died")

    def flawed(self: Any, store: Any, cursor: str) -> bool:
        nonlocal left
        store.command("SET", self._keys.cursor, cursor)
        left -= 1
        if left == 0 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        self._expected = cursor
        return run(self, store, cursor)

    _plant(Commit, "run", flawed)


def ignores_the_cursor() -> None:
    """It commits what it has folded, though another was faster."""
    _without("commit", _CURSOR)


def ignores_the_fence() -> None:
    """It settles what it has done, though another holds the lane."""
    _without("settle", _FENCE, _HEAD)


def drops_the_second_secret() -> None:
    """Of several secrets in a delivery it keeps one."""
    whole = facts.secrets

    def flawed(known: Any, event: Any, *rest: Any) -> Any:
        return whole(known, replace(event, secrets=dict([*event.secrets.items()][:1])), *rest)

    _plant(facts, "secrets", flawed)


def writes_beside_the_fold() -> None:
    """It notes something in an instance's line, of which the log knows nothing."""
    call = calling.call

    def flawed(desk: Any, name: str, taken: Any, line: Any) -> None:
        call(desk, name, taken, line)
        key = taken.state.work.instance
        if line := desk.register.line(key):
            changed = replace(line.instance, customer_name=BEHIND_THE_LOG)
            place = f"{keys_of(partition_of(key)).instance}{key}"
            desk.store.command("HSET", place, "record", msgspec.json.encode(changed))

    _plant(perform, "call", flawed)


FLAWS: dict[str, Callable[[], None]] = {
    flaw.__name__: flaw
    for flaw in (
        moves_the_cursor_first, ignores_the_cursor, ignores_the_fence, drops_the_second_secret,
        writes_beside_the_fold,
    )
}  # fmt: skip


def _without(name: str, *lines: str) -> None:
    """Take lines out of a script of the store's."""
    flawed, text = script(name), script(name).text
    assert all(line in text for line in lines)
    for line in lines:
        text = text.replace(line, "")
    flawed.text = text
    flawed.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _plant(owner: Any, name: str, flawed: Any) -> None:
    setattr(owner, name, flawed)


if __name__ == "__main__":
    FLAWS[os.environ["FLAW"]]()
    halting.patch(Path(sys.argv.pop(1)))
    main()
