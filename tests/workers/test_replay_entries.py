"""Entries that repeat another one, by an operator: what was applied is not applied again."""

from __future__ import annotations

from typing import Any

from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, Mark
from innkeeper.operations.refolding import REPETITION
from innkeeper.store.entry import EntrySource
from tests.lifecycle.telling import KEY, SUSPENDED, brings, states
from tests.workers.conftest import Inn, MakeInn, follow_up


def replay(inn: Inn, event: Event, of: DeliveryId, **more: Any) -> str:
    """Repeat a delivery; what becomes of it."""
    delivery = inn.deliver(event, replays=of, source=EntrySource.REPLAY, **more)
    inn.apply()
    return inn.desk.log.outcome(delivery)


def test_what_was_applied_changes_nothing(inn: Inn):
    """Neither the instance nor its history, and nothing is set off."""
    first, _ = inn.tell(states(1), states(2, SUSPENDED))
    line, works = inn.desk.register.line(KEY), inn.works()
    assert replay(inn, states(1), first) == REPETITION
    assert inn.desk.register.line(KEY) == line
    assert inn.works() == works


def test_not_even_where_nothing_tells_the_order(inn: Inn):
    """An event without an order key, which in itself would be applied anew."""
    (first, _) = inn.tell(states(None, SUSPENDED), states(None))
    assert replay(inn, states(None, SUSPENDED), first) == REPETITION
    assert inn.names()[-1] == "resumed"


def test_follow_ups_are_set_off_again_where_asked_for(inn: Inn):
    """Under ids of their own, once a replay; the transition itself is not made again."""
    (first,) = inn.tell(states(1))
    for times in (2, 3):
        assert replay(inn, states(1), first, follow_ups=True) == REPETITION
        assert len({work.work.id for work in inn.works()}) == times
    assert inn.names() == ["installed", "enabled"]


def test_notices_are_set_off_again_too(make_inn: MakeInn):
    """An app event that is replayed with follow-ups is passed on again."""
    inn = make_inn(follow_up("record", "app_event", "secrets_updated"))
    event = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"n": 1})
    (first,) = inn.tell(event)
    assert replay(inn, event, first) == REPETITION
    assert len(inn.works()) == 1
    assert replay(inn, event, first, follow_ups=True) == REPETITION
    assert len(inn.works()) == 2


def test_what_was_dead_takes_effect_now(inn: Inn):
    """A dead-lettered delivery that is understood by now is applied."""
    unknown = Event(type="unknown", kind=EventKind.OTHER, notes=("what is this?",))
    first = inn.deliver(unknown, mark=Mark.UNDECODABLE)
    inn.apply()
    assert replay(inn, states(1), first) == "applied"
    assert inn.names() == ["installed", "enabled"]
    assert len(inn.works()) == 1


def test_what_was_never_folded_is_applied_once(inn: Inn):
    """A replay in the same batch as its first finds what that has just done."""
    first = inn.deliver(states(1))
    second = inn.deliver(states(1), replays=first, source=EntrySource.REPLAY)
    assert inn.apply() == 1
    assert [inn.desk.log.outcome(one) for one in (first, second)] == ["applied", REPETITION]
    assert inn.names() == ["installed", "enabled"]


def test_secrets_that_were_replaced_stay_replaced(inn: Inn):
    """The replay of an older update brings no older secret back."""
    first, _ = inn.tell(brings(1, {"a": "a1"}), brings(2, {"a": "a2"}))
    assert replay(inn, brings(1, {"a": "a1"}), first) == REPETITION
    line = inn.desk.register.line(KEY)
    assert line is not None
    assert inn.desk.register.secrets(line.instance) == {"a": "a2"}
