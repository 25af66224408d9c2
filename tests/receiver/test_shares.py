"""What waits in memory is bounded, in all and for each that it belongs to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from innkeeper.config import ReceiverSection
from innkeeper.store.connection import Store
from innkeeper_receiver.callers import neighbourhood
from innkeeper_receiver.shares import LEAST_BYTES, Overloaded, Room
from tests.deliveries import BASIC, PATH, REBILLY_PATH, rebilly
from tests.processes import soon
from tests.receiver.conftest import Start
from tests.receiver.process import fresh
from tests.receiver.running import Running, answer_on, head

MIB = 1 << 20


@pytest.fixture
def turned_away() -> list[str]:
    """By which bound, in order."""
    return []


@pytest.fixture
def room(turned_away: list[str]) -> Room:
    """For 400 bytes of each 100 KiB."""
    return Room("all", "one", turned_away.append, most_bytes=400 << 10)


def test_one_holder_gets_a_quarter(room: Room, turned_away: list[str]):
    """Beyond it nothing is taken; another's share is untouched."""
    one, other = room.held_by("one"), room.held_by("other")
    one.take(100 << 10)
    with pytest.raises(Overloaded):
        one.take(1)
    with pytest.raises(Overloaded):
        room.held_by("one").take(1)
    other.take(100 << 10)
    assert turned_away == ["one", "one"]


def test_all_holders_share_the_whole(room: Room, turned_away: list[str]):
    """Four quarters fill it; what one gives back another may have."""
    held = [room.held_by(number) for number in range(4)]
    for one in held:
        one.take(100 << 10)
    with pytest.raises(Overloaded):
        room.held_by("late").take(1)
    assert turned_away == ["all"]
    held[0].give_back()
    room.held_by("late").take(100 << 10)


def test_what_is_given_back_twice_counts_once(room: Room):
    """Nobody gets more room by it."""
    with room.held_by("one") as held:
        held.take(100 << 10)
        held.give_back()
        held.give_back()
    room.held_by("one").take(100 << 10)
    with pytest.raises(Overloaded):
        room.held_by("one").take(1)


def test_the_smallest_counts_for_what_it_takes(room: Room):
    """As many small ones as whole requests fit, and no more."""
    for _ in range((100 << 10) // LEAST_BYTES):
        room.held_by("one").take(1)
    with pytest.raises(Overloaded):
        room.held_by("one").take(1)


@pytest.mark.parametrize(
    ("address", "neighbours"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_addresses_that_are_had_by_the_dozen_count_as_one(address: str, neighbours: str):
    """A network of IPv6 is one caller."""
    assert neighbourhood(address) == neighbours


@pytest.fixture
def behind_proxy(start: Start) -> Running:
    """A receiver that believes loopback who is calling, and takes large bodies."""
    return start(
        receiver=ReceiverSection(
            trusted_proxies=("127.0.0.0/8",), max_body=4 * MIB, body_within=15.0, spool=False
        )
    )


def shed(receiver: Running) -> set[str]:
    """What was reached."""
    text = receiver.ask("GET", "/metrics").body.decode()
    return {line for line in text.splitlines() if line.startswith("innkeeper_shed_total")}


def test_bodies_of_one_caller_starve_no_other(behind_proxy: Running):
    """Whoever has 16 MiB of half bodies here gets 503 for more; a sender elsewhere gets 202."""
    flood = head(PATH, f"Content-Length: {4 * MIB}", "X-Forwarded-For: 203.0.113.9")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(behind_proxy.connected()) for _ in range(5)]
        for connection in connections:
            connection.sendall(flood + b" " * (4 * MIB - 1))
        assert soon(lambda: shed(behind_proxy) == {'innkeeper_shed_total{share="caller"} 1.0'})
        elsewhere = {"x-forwarded-for": "203.0.113.10"}
        assert behind_proxy.post(PATH, fresh(), elsewhere).status == 202
        for connection in connections:
            with contextlib.suppress(OSError):  # one of them is closed by now
                connection.sendall(b" ")
        found = [answer_on(connection) for connection in connections]
        assert sorted(answer.status for answer in found) == [400, 400, 400, 400, 503]
        assert any("retry-after" in answer.headers for answer in found)
    again = {"x-forwarded-for": "203.0.113.9"}
    assert behind_proxy.post(PATH, fresh(), again).status == 202


@pytest.fixture
def pause(store: Store) -> Iterator[Callable[[float], None]]:
    """Lets the store write nothing for some seconds."""

    def hold(seconds: float) -> None:
        store.command("CLIENT", "PAUSE", int(seconds * 1000), "WRITE")

    yield hold
    store.command("CLIENT", "UNPAUSE")


def test_deliveries_of_one_signer_starve_no_other(start: Start, pause: Callable[[float], None]):
    """While the store is slow, 16 MiB of one signer wait; its next gets 503, another's 202."""
    receiver = start(receiver=ReceiverSection(spool=False))
    bodies = [fresh().ljust(MIB) for _ in range(17)]
    pause(1.0)
    large = receiver.send_at_once(PATH, bodies)
    small = receiver.post(REBILLY_PATH, rebilly(), BASIC)
    assert small.status == 202
    assert sorted(answer.status for answer in large()) == [202] * 16 + [503]
    assert shed(receiver) == {'innkeeper_shed_total{share="signer"} 1.0'}
