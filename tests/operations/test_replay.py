"""Replays of one kept delivery."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from innkeeper.lifecycle.events import DeliveryId
from innkeeper.operations.dead_letters import drop, find_dead_letter, requeue
from innkeeper.operations.deliveries import find_delivery
from innkeeper.operations.refolding import REPETITION
from innkeeper.operations.replay import CannotReplay, replay_delivery
from innkeeper.store.entry import Entry
from tests.conftest import MakeDesk
from tests.inn import Inn, app_event, brings_secrets, config_of, key_of, signed, states
from tests.operations import acme
from tests.standing import standing_of


def entry_of(inn: Inn, delivery: DeliveryId) -> Entry:
    """A delivery that is kept."""
    found = find_delivery(inn.desk, delivery)
    assert found is not None
    return found


def outcome_of_replay(inn: Inn, delivery: DeliveryId, *, follow_ups: bool = False) -> str:
    """Replay, apply; what became of it."""
    appended = replay_delivery(inn.desk, entry_of(inn, delivery), follow_ups=follow_ups)
    inn.apply()
    return "duplicate" if appended.duplicate else inn.desk.log.outcome(appended.delivery)


def test_sets_off_again_only_when_asked_to(inn: Inn) -> None:
    """What was applied changes nothing; `follow_ups` runs its follow-ups once more."""
    acme.provisioned.clear()
    delivery = inn.states("acme")
    inn.perform()
    assert outcome_of_replay(inn, delivery) == REPETITION
    inn.perform()
    assert len(acme.provisioned) == 1
    assert outcome_of_replay(inn, delivery, follow_ups=True) == REPETITION
    inn.perform()
    assert acme.provisioned == ["xurrent/notes/acme"] * 2
    assert len(inn.desk.register.transitions(key_of())) == 2


def test_what_was_unrouted_takes_effect_once_it_is_configured(
    inn: Inn, make_desk: MakeDesk
) -> None:
    """A replay is routed by today's configuration, and a second one is a duplicate."""
    delivery = inn.post(states("acme", reference="later"))
    inn.apply()
    assert inn.desk.log.outcome(delivery) == "unrouted"
    config = inn.desk.config
    (notes, *others) = config.apps
    later = replace(notes, name="later", reference="later")
    inn = Inn(make_desk(config_of(config.data, apps=(notes, later, *others))))
    assert outcome_of_replay(inn, delivery) == "applied"
    line = inn.desk.register.line(key_of(app="later"))
    assert line is not None
    assert line.instance.status == "enabled"
    assert outcome_of_replay(inn, delivery) == "duplicate"


def test_a_dead_delivery_is_taken_up_again_once(inn: Inn) -> None:
    """Its replay dies again as long as nothing has changed; then that one is what is replayed."""
    dead = inn.post(signed({"event": "app_instance.update", "payload": "nonsense"}))
    inn.apply()
    letter = find_dead_letter(inn.desk, dead)
    assert letter is not None
    again = requeue(inn.desk, letter)
    inn.apply()
    assert again is not None
    assert find_dead_letter(inn.desk, dead) is None
    assert find_dead_letter(inn.desk, again) is not None
    # The first one asked for once more: it is its dead replay that is replayed.
    appended = replay_delivery(inn.desk, entry_of(inn, dead))
    assert not appended.duplicate
    inn.apply()
    newest = find_dead_letter(inn.desk, appended.delivery)
    assert newest is not None
    assert drop(inn.desk, newest)
    assert find_dead_letter(inn.desk, appended.delivery) is None


def test_an_app_event_is_not_set_off_twice_by_replays(inn: Inn) -> None:
    """Nothing but the claim tells a second replay of what had no effect from a first."""
    inn.post(brings_secrets("acme", owner="acme"))
    inn.apply()
    delivery = inn.post(app_event("acme"))
    inn.apply()
    for _ in range(2):
        assert outcome_of_replay(inn, delivery) == REPETITION
    notices = [n for n in inn.desk.register.notices(key_of()) if n.name == "app_event"]
    assert len(notices) == 1


def test_cannot_replay_what_no_app_is_configured_for(inn: Inn, make_desk: MakeDesk) -> None:
    """The reason is told, and nothing is appended."""
    delivery = inn.states("acme")
    bare = Inn(make_desk(config_of(inn.desk.config.data, apps=(), follow_ups=())))
    with pytest.raises(CannotReplay, match="no app notes of xurrent is configured"):
        replay_delivery(bare.desk, entry_of(bare, delivery))
    assert standing_of(bare.desk.store).counts["accepted"] == 1
