"""The wake-up flags: in whatever order ringers and listeners come, no ring is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition

import pytest

from innkeeper.store.connection import Command, Store
from innkeeper.store.wake import Wake

BELL = "apply"


class Turns:
    """Whose turn it is to send a command: walks threads through one order of their steps."""

    def __init__(self, order: Sequence[str]) -> None:
        self._left = list(order)
        self._changed = Condition()

    def take(self, name: str, step: Callable[[], object]) -> object:
        """Do the step when all the turns before it are over."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._left[0] == name, timeout=5)
            answer = step()
            del self._left[0]
            self._changed.notify_all()
            return answer


class InTurn(Store):
    """A store that sends each command of a batch when it is its turn, and not together."""

    def __init__(self, url: str, name: str, turns: Turns) -> None:
        super().__init__(url)
        self._name = name
        self._turns = turns

    def batch(self, commands: Sequence[Command]) -> list:
        return [self._turns.take(self._name, partial(self._one, one)) for one in commands]

    def _one(self, command: Command) -> object:
        return super().batch([command])[0]


@pytest.fixture
def wake(store: Store) -> Wake:
    """The flags of one bell, on the empty server."""
    return Wake(store, BELL)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for those who meet."""
    with ThreadPoolExecutor(4) as opened:
        yield opened


def _orders(**steps: int) -> list[tuple[str, ...]]:
    """All orders in which each takes its number of steps."""
    names = [name for name, number in steps.items() for _ in range(number)]
    return sorted(set(itertools.permutations(names)))


def _walk(
    pool: ThreadPoolExecutor,
    url: str,
    order: tuple[str, ...],
    **actors: Callable[[Store], object],
) -> dict[str, object]:
    """Let the actors take their steps in this order; what each gave."""
    turns = Turns(order)
    stores = {name: InTurn(url, name, turns) for name in actors}
    futures = {name: pool.submit(actors[name], stores[name]) for name in actors}
    results = {name: future.result(timeout=10) for name, future in futures.items()}
    for opened in stores.values():
        opened.close()
    return results


def _ring(store: Store) -> bool:
    return Wake(store, BELL).raise_flag()


def _leave(store: Store) -> bool:
    return Wake(store, BELL).leave()


def test_the_first_ring_sends_a_job(wake: Wake):
    """A ring at rest needs a job; the next ones need none until the flag was taken down."""
    assert [wake.raise_flag() for _ in range(3)] == [True, False, False]
    assert wake.lower_flag()
    assert not wake.lower_flag()
    assert wake.raise_flag()


def test_a_listener_is_enough(wake: Wake):
    """While somebody listens a ring needs no job, and the listener sees the flag."""
    assert not wake.listen()
    assert not wake.raise_flag()
    assert wake.listen()
    assert wake.lower_flag()
    assert not wake.listen()


def test_bells_do_not_hear_each_other(store: Store, wake: Wake):
    """Each bell has a flag and listeners of its own."""
    wake.listen()
    assert Wake(store, "perform").raise_flag()
    assert not wake.listen()


def test_flags_end_by_themselves(store: Store, wake: Wake):
    """A flag whose job was lost, and a listener that was killed, are forgotten in seconds."""
    wake.raise_flag()
    wake.listen()
    lives = store.batch([("PTTL", name) for name in store.command("KEYS", "*")])
    assert len(lives) == 2
    assert all(0 < life <= 5000 for life in lives)
    assert min(lives) <= 1500


@pytest.mark.parametrize("up", [False, True], ids=["flag down", "flag up"])
@pytest.mark.parametrize("order", _orders(ringer=2, leaver=2), ids="-".join)
def test_a_ring_while_the_listener_leaves(
    store: Store, pool: ThreadPoolExecutor, order: tuple[str, ...], up: bool
):
    """However the two steps of a ringer (set the flag, look for a listener) and those of a leaver
    (withdraw, look for the flag) fall: a job is sent, or the leaver knows that it was rung for."""
    wake = Wake(store, BELL)
    wake.listen()
    if up:
        wake.raise_flag()
    found = _walk(pool, store.url, order, ringer=_ring, leaver=_leave)
    assert found["ringer"] or found["leaver"]


@pytest.mark.parametrize("order", _orders(one=2, other=2, leaver=2), ids="-".join)
def test_two_rings_while_the_listener_leaves(
    store: Store, pool: ThreadPoolExecutor, order: tuple[str, ...]
):
    """Nor do two ringers, of whom one finds the flag up, rely on each other and on a leaver."""
    Wake(store, BELL).listen()
    found = _walk(pool, store.url, order, one=_ring, other=_ring, leaver=_leave)
    assert any(found.values())


@pytest.mark.parametrize("order", _orders(ringer=3, job=2), ids="-".join)
def test_a_ring_while_a_job_begins(store: Store, pool: ThreadPoolExecutor, order: tuple[str, ...]):
    """A job takes the flag down and then looks; a ringer brings work and then rings: the job finds
    the work, or another job is sent."""
    Wake(store, BELL).raise_flag()

    def ring(own: Store) -> bool:
        own.command("SET", "work", 1)
        return Wake(own, BELL).raise_flag()

    def begin(own: Store) -> bool:
        Wake(own, BELL).lower_flag()
        return bool(own.command("EXISTS", "work"))

    found = _walk(pool, store.url, order, ringer=ring, job=begin)
    assert found["job"] or found["ringer"]
