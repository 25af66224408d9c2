"""Dead letters: listed newest first, page by page, found and taken away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from innkeeper.store.connection import Store
from innkeeper.store.dead_letters import DeadLetter, DeadLetters, Subject, position
from innkeeper.store.entry import new_delivery_id
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_in
from tests.store.making import NOW, begin, finish, key_in

START = datetime.fromtimestamp(NOW, UTC)


@pytest.fixture
def letters(store: Store) -> DeadLetters:
    """The dead letters of the empty store."""
    return DeadLetters(store)


def _letter(at: datetime = START, partition: int = 7) -> DeadLetter:
    key = key_in(partition)
    delivery = new_delivery_id(key)
    return DeadLetter(
        id=delivery,
        subject=Subject.ENTRY,
        at=at,
        instance=str(key),
        delivery=delivery,
        entry="1790000000005-0",
        name="entry",
        error="ValueError: no",
        detail="Traceback …",
    )


def _bury(store: Store, *found: DeadLetter) -> None:
    for partition in {partition_in(letter.id) for letter in found}:
        commit = begin(store, partition)
        for letter in found:
            if partition_in(letter.id) == partition:
                commit.dead_letter(letter)
        finish(store, commit)


def _pages(letters: DeadLetters, limit: int) -> list[DeadLetter]:
    pages = page = letters.newest(limit)
    while page:
        page = letters.newest(limit, before=position(page[-1]))
        assert len(page) <= limit
        pages = pages + page
    return pages


def test_none(letters: DeadLetters):
    """Without dead letters nothing is listed, counted or found."""
    assert letters.newest(10) == []
    assert letters.count() == 0
    assert letters.find(new_delivery_id(key_in())) is None


def test_kept_as_it_is(store: Store, letters: DeadLetters):
    """A dead letter is found by its id with all that it tells, and pins its entry."""
    letter = _letter()
    _bury(store, letter)
    assert letter == letters.find(letter.id)
    assert letters.count() == 1
    assert store.command("ZSCORE", keys_of(7).pins, letter.id) == 1790000000005.0


def test_newest_first_over_all_partitions(store: Store, letters: DeadLetters):
    """Letters of all partitions are listed together, the newest first."""
    found = [_letter(START + timedelta(seconds=n), partition=n * 5 % 64) for n in range(20)]
    _bury(store, *found)
    assert found[:-6:-1] == letters.newest(5)
    assert found[::-1] == letters.newest(100)


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
def test_pages(store: Store, letters: DeadLetters, limit: int):
    """Page after page every letter is listed once, in order."""
    found = [_letter(START + timedelta(milliseconds=n // 2), n % 3) for n in range(25)]
    _bury(store, *found)
    assert sorted(found, key=position, reverse=True) == _pages(letters, limit)


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_many_of_one_moment(store: Store, letters: DeadLetters, limit: int):
    """A whole batch that died within one millisecond is listed page by page, too."""
    found = [_letter(partition=n % 2) for n in range(60)] + [_letter(START - timedelta(seconds=1))]
    _bury(store, *found)
    assert sorted(found, key=position, reverse=True) == _pages(letters, limit)


def test_dropped(store: Store, letters: DeadLetters):
    """A dropped letter is gone, once, and its entry may be trimmed."""
    one, other = _letter(), _letter()
    _bury(store, one, other)
    assert letters.drop_entry(one)
    assert not letters.drop_entry(one)
    assert letters.find(one.id) is None
    assert [other] == letters.newest(10)
    assert [other.id.encode()] == store.command("ZRANGE", keys_of(7).pins, 0, -1)


def test_buried_again(store: Store, letters: DeadLetters):
    """The same entry that dies again is one dead letter, with the newer story."""
    first = _letter()
    second = replace(first, at=START + timedelta(seconds=9), error="again")
    _bury(store, first)
    _bury(store, second)
    assert [second] == letters.newest(10)


def test_what_is_no_id(letters: DeadLetters):
    """Anything but an id raises ValueError."""
    for name in ("", "wdc", "64-x", "-7"):
        with pytest.raises(ValueError, match="no such id"):
            letters.find(name)
