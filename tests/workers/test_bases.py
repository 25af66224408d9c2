"""Base records: what trimming leaves of an instance's entries, and for how long."""

from __future__ import annotations

import threading

import pytest

from innkeeper.config import RetentionSection
from innkeeper.lifecycle.events import Event, EventKind, Mark, Read
from innkeeper.operations import rebuild
from innkeeper.operations.forgetting import forget
from innkeeper.store.bases import Base
from innkeeper.store.entry import raw_id
from innkeeper_workers.retention import Retention
from tests.lifecycle.telling import KEY, SUSPENDED, states
from tests.standing import standing_of
from tests.workers.conftest import PARTITION, Inn, MakeInn
from tests.workers.rebuilding import KEYS, NAME, bases, differing, hold, settle, trim_some

APP_EVENT = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"n": 1})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs here differs for good."""
    monkeypatch.setattr(rebuild, "_PAUSE_SECONDS", 0.0)


@pytest.fixture
def strict(make_inn: MakeInn) -> Inn:
    """An inn that keeps no delivery once it is folded, and sets nothing off."""
    return make_inn(retention=RetentionSection(deliveries=0.0))


def test_a_base_is_kept_while_there_are_newer_entries(strict: Inn):
    """It is what the trimmed ones come to; with the last of them it goes."""
    strict.tell(states(1))
    settle()
    strict.tell(states(2, SUSPENDED))
    trim_some(strict, 1)
    assert bases(strict) == {NAME: "enabled"}
    assert differing(strict) == []
    settle()
    Retention(strict.desk).run()
    assert bases(strict) == {}


@pytest.mark.parametrize("event", [APP_EVENT, states(1), states(None, read=Read(at_version=9))])
def test_any_folded_entry_is_a_newer_one(strict: Inn, event: Event):
    """An app event, what is stale and a read that was overtaken, too: the line names the last."""
    strict.tell(states(2))
    settle()
    (delivery,) = strict.tell(event)
    line = strict.desk.register.line(KEY)
    found = strict.desk.log.find(delivery)
    assert line is not None
    assert found is not None
    assert line.instance.entry == found.stream_id
    trim_some(strict, 1)
    assert bases(strict) == {NAME: "enabled"}


def test_what_is_not_folded_is_no_newer_entry(strict: Inn):
    """A test delivery and a repetition leave the line and its base alone."""
    (first,) = strict.tell(states(1))
    settle()
    strict.deliver(states(2), mark=Mark.TEST)
    strict.deliver(states(1), replays=first)
    strict.apply()
    trim_some(strict, 1)
    assert bases(strict) == {}
    strict.tell(states(3, SUSPENDED))
    assert bases(strict) == {NAME: "enabled"}
    assert differing(strict) == []


def test_a_line_is_copied_before_it_changes(strict: Inn):
    """Where all of its entries have gone nothing else would tell what it was."""
    strict.tell(states(1))
    settle()
    Retention(strict.desk).run()
    assert bases(strict) == {}
    strict.tell(states(2, SUSPENDED), states(3))
    assert bases(strict) == {NAME: "enabled"}
    assert differing(strict) == []
    settle()
    Retention(strict.desk).run()
    assert (bases(strict), differing(strict)) == ({}, [])


def test_what_cannot_be_read_any_more_holds_up_nothing(strict: Inn):
    """The instance is told as not checkable until its newer entries have gone as well."""
    (first,) = strict.tell(states(1))
    settle()
    strict.tell(states(2, SUSPENDED))
    strict.desk.store.command("HSET", KEYS.events, raw_id(first), "?")
    assert trim_some(strict, 1) == 1
    (unchecked,) = hold(strict).unchecked
    reason = f"{first} was dropped unread: Damaged: not of a known form"
    assert (unchecked.instance, unchecked.reason) == (NAME, reason)
    strict.tell(states(3))
    assert differing(strict) == []
    settle()
    Retention(strict.desk).run()
    strict.tell(states(4, SUSPENDED))
    assert (differing(strict), hold(strict).unchecked) == ([], [])


def test_whoever_was_forgotten_leaves_no_base(strict: Inn):
    """Nor does trimming bring one back: neither before nor after they come again."""
    strict.tell(states(1))
    settle()
    strict.tell(states(2, SUSPENDED))
    trim_some(strict, 1)
    applying = threading.Timer(0.2, strict.apply)
    applying.start()
    forget(strict.desk, KEY)
    applying.join()
    assert (bases(strict), differing(strict)) == ({}, [])
    strict.tell(states(1))
    assert (bases(strict), differing(strict)) == ({}, [])


def test_a_slice_that_is_no_longer_the_first_is_left_alone(strict: Inn):
    """Two who trim at once drop each entry once; what is pinned meanwhile stays."""
    strict.tell(states(1), states(2, SUSPENDED))
    settle()
    at = {"before_millis": 1 << 50, "most_bytes": 0}
    one, other = (strict.desk.bases.oldest(PARTITION, **at) for _ in range(2))
    strict.desk.store.command("ZADD", KEYS.pins, 1, "work")
    assert strict.desk.bases.drop(PARTITION, one, {}) == 0
    strict.desk.store.command("DEL", KEYS.pins)
    assert strict.desk.bases.drop(PARTITION, one, {}) == 2
    strict.tell(states(3))
    assert strict.desk.bases.drop(PARTITION, other, {}) == 0
    assert standing_of(strict.desk.store).counts["trimmed"] == 2


def test_a_slice_read_before_they_were_forgotten_leaves_no_base(strict: Inn):
    """Trimming that was stopped while they were forgotten and came back knows nothing of them."""
    strict.tell(states(1), states(2, SUSPENDED))
    oldest = strict.desk.bases.oldest(PARTITION, before_millis=1 << 50, most_bytes=0)
    strict.tell(Event(type="instance.forgotten", kind=EventKind.FORGOTTEN), states(1))
    line = strict.desk.register.line(KEY)
    assert line is not None
    left = {KEY: Base(instance=line.instance)}
    assert strict.desk.bases.drop(PARTITION, oldest, left) == 2
    assert (bases(strict), differing(strict)) == ({}, [])
