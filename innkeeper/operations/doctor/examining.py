"""Runs the checks: the store first, for most rests on it; then all others side by side.

Each has 5 s. What cannot be asked is told as a finding of its own, and the others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from innkeeper.config import Config
from innkeeper.operations.desk import Desk, open_desk, queue_url, store_url
from innkeeper.operations.doctor import here, keys, marketplaces, running, store, waiting
from innkeeper.operations.doctor.findings import unchecked, wrong
from innkeeper.outgoing import Outgoing
from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable
from innkeeper.store.trust import Finding

CHECK_SECONDS = 5.0
_STORE_SECONDS = 1.5

Check = tuple[str, Callable[[], list[Finding]]]
"""What is looked at, and how."""


def examine(config: Config, *, keys_in_file: bool, offline: bool) -> list[Finding]:
    """Everything that was looked at, within some 10 s, in the order in which it is to be read.

    `keys_in_file`: whether the keys come from the data folder. `offline`: no marketplace is called.
    """
    with closing(Store(store_url(config), timeout_seconds=_STORE_SECONDS)) as looked_at:
        found = side_by_side([("store", lambda: store.check(config, looked_at))])
    with _opened(config) as desk, _queue(config) as queue:
        of_desk: list[Check] = []
        if desk is not None:
            of_desk = [
                ("sealed", lambda: keys.check_sealed(desk)),
                ("waiting", lambda: waiting.check(desk)),
                ("refused", lambda: waiting.check_refused(desk)),
            ]
        checks = [
            ("queue server", lambda: running.check_queue(config, queue)),
            ("workers", lambda: running.check_workers(queue)),
            ("receiver", lambda: running.check_receiver(config)),
            ("console", lambda: running.check_console(config)),
            ("keys", lambda: keys.check(config, in_file=keys_in_file)),
            *of_desk,
            ("spool", lambda: here.check_spool(config)),
            ("disk", lambda: here.check_disk(config)),
            *_outside(config, desk, offline=offline),
        ]
        found += side_by_side(checks)
    if desk is None:
        found.append(unchecked("waiting", "what waits cannot be told without a store"))
    return found


def side_by_side(checks: Sequence[Check]) -> list[Finding]:
    """What the checks find, in their order; one that takes longer than 5 s is left behind."""
    found: list[list[Finding] | None] = [None] * len(checks)

    def run(place: int, name: str, look: Callable[[], list[Finding]]) -> None:
        found[place] = _found(name, look)

    threads = [
        threading.Thread(target=run, args=(place, *check), daemon=True)
        for place, check in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + CHECK_SECONDS
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    late = f"there is no answer within {CHECK_SECONDS:g} s"
    return [
        finding
        for (name, _), of_check in zip(checks, found, strict=True)
        for finding in (of_check if of_check is not None else [wrong(name, late)])
    ]


def _found(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except (StoreError, StoreUnavailable) as error:
        return [wrong(name, f"the server cannot be asked: {error}")]
    except Exception as error:
        return [wrong(name, f"it cannot be looked at: {type(error).__name__}: {error}")]


def _outside(config: Config, desk: Desk | None, *, offline: bool) -> list[Check]:
    if offline:
        return [
            ("marketplaces", lambda: [unchecked("marketplaces", "not called, as --offline says")])
        ]
    outgoing = Outgoing(config.outgoing.allow_hosts)
    tokens = marketplaces.OwnTokens(desk.tokens if desk else None)
    return marketplaces.checks(config, outgoing, tokens)


@contextmanager
def _opened(config: Config) -> Iterator[Desk | None]:
    """The desk; None where the store is away, refused, or would only be made by looking."""
    desk = None
    with suppress(StoreError, StoreUnavailable, StoreRefused):
        with closing(Store(store_url(config), timeout_seconds=_STORE_SECONDS)) as trying:
            there = store.is_in_use(trying)
        desk = open_desk(config) if there else None
    try:
        yield desk
    finally:
        if desk is not None:
            desk.close()


@contextmanager
def _queue(config: Config) -> Iterator[Store]:
    with closing(Store(queue_url(config), timeout_seconds=_STORE_SECONDS)) as queue:
        yield queue
