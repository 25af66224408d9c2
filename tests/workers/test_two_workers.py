"""Two workers on one partition: whichever step one is stopped at, one wins and none doubles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from innkeeper.lifecycle.events import Event
from innkeeper.operations.desk import Desk
from innkeeper.store.connection import Command, Store
from innkeeper.store.keys import keys_of
from innkeeper.store.log import Log
from innkeeper.store.outbox import Outbox
from innkeeper.store.register import Register
from innkeeper.store.trouble import Troubles
from innkeeper_workers.apply import TRIES, Applying
from tests.lifecycle.telling import KEY, SUSPENDED, brings, states
from tests.standing import open_work, standing_of
from tests.workers.conftest import PARTITION, Inn
from tests.workers.test_apply_trouble import POISON

EVENTS: list[Event] = [states(1), brings(2, {"a": "a1"}), states(3, SUSPENDED), states(4)]
COMMIT = 3
"""The round trip in which a batch is committed; before it stand three that read."""
LONGEST = 8
"""More round trips than one batch takes."""


class Interrupted(Store):
    """The same store; before the n-th round trip somebody else gets the time."""

    def __init__(self, url: str, at: int, other: Callable[[], Any]) -> None:
        super().__init__(url)
        self._left = at
        self._other = other
        self.was = False

    def attempt(self, commands: Sequence[Command]) -> list[Any]:
        if self._left == 0:
            self.was = True
            self._other()
        self._left -= 1
        return super().attempt(commands)


def interrupted(inn: Inn, at: int, other: Callable[[], Any]) -> tuple[Desk, Interrupted]:
    """A desk for the one who is stopped."""
    store = Interrupted(inn.desk.store.url, at, other)
    desk = replace(
        inn.desk,
        store=store,
        log=Log(store, inn.desk.ring),
        register=Register(store, inn.desk.ring),
        outbox=Outbox(store),
        troubles=Troubles(store),
    )
    return desk, store


def state(inn: Inn) -> dict[str, Any]:
    """All that folding the events once leads to."""
    line = inn.desk.register.line(KEY)
    assert line is not None
    counts = standing_of(inn.desk.store).counts
    return {
        "instance": line.instance,
        "secrets": inn.desk.register.secrets(line.instance),
        "transitions": inn.names(),
        "notices": len(inn.desk.register.notices(KEY)),
        "works": [work.work.id for work in inn.works()],
        "waiting": open_work(inn.desk.store),
        "applied": counts["applied"],
        "dead": counts["dead"],
        "letters": inn.desk.dead_letters.count(),
        "behind": inn.desk.outbox.probe()[PARTITION].behind,
    }


@pytest.mark.parametrize("at", range(LONGEST))
def test_one_wins_whoever_is_stopped(inn: Inn, at: int):
    """One worker is stopped before its n-th round trip while another applies the same batch."""
    for event in EVENTS:
        inn.deliver(event)
    desk, store = interrupted(inn, at, lambda: Applying(inn.desk).apply(PARTITION))
    won = Applying(desk).apply(PARTITION)
    found = state(inn)
    # The stopped one has won only where it was stopped behind its commit, or never.
    assert won == (not store.was or at > COMMIT)
    assert found["transitions"] == ["installed", "enabled", "suspended", "resumed"]
    assert (found["applied"], found["dead"], found["behind"]) == (4, 0, False)
    assert (found["notices"], found["waiting"], len(set(found["works"]))) == (1, 3, 3)
    assert found["secrets"] == {"a": "a1"}
    keys = keys_of(PARTITION)
    assert inn.desk.store.command("LLEN", f"{keys.queue}lifecycle|{KEY}") == 3


@pytest.mark.parametrize("at", range(LONGEST))
def test_poison_is_put_aside_once(inn: Inn, at: int):
    """Two workers that both come to the end of their patience make one dead letter."""
    inn.deliver(POISON)
    inn.deliver(states(1))
    for _ in range(TRIES - 1):
        Applying(inn.desk).apply(PARTITION, inn.desk.troubles.all().get(PARTITION))
    trouble = inn.desk.troubles.all()[PARTITION]
    desk, _ = interrupted(inn, at, lambda: Applying(inn.desk).apply(PARTITION, trouble))
    Applying(desk).apply(PARTITION, trouble)
    for _ in range(2):
        Applying(inn.desk).apply(PARTITION, inn.desk.troubles.all().get(PARTITION))
    found = state(inn)
    assert (found["dead"], found["letters"], found["applied"]) == (1, 1, 1)
    assert found["transitions"] == ["installed", "enabled"]
    assert not found["behind"]


def test_one_that_wakes_up_late_writes_nothing(inn: Inn):
    """A worker stopped for so long that others have folded what came afterwards as well."""
    for event in EVENTS[:2]:
        inn.deliver(event)

    def meanwhile() -> None:
        inn.apply()
        inn.tell(*EVENTS[2:])

    desk, store = interrupted(inn, 2, meanwhile)
    assert not Applying(desk).apply(PARTITION)
    assert store.was
    assert inn.names() == ["installed", "enabled", "suspended", "resumed"]
    assert state(inn)["waiting"] == 3
