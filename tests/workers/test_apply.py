"""Apply: what becomes of each sort of entry, and what it sets off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from innkeeper.bells import BellName
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey, Mark
from innkeeper.lifecycle.follow_ups import idempotency_key
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import LaneKind, WorkKind
from innkeeper.store.partitions import partition_of
from tests.lifecycle.telling import (
    DISABLED,
    KEY,
    OPERATES,
    SUSPENDED,
    brings,
    removes,
    signing,
    states,
)
from tests.standing import open_work, standing_of
from tests.workers.conftest import PARTITION, Inn, MakeInn, follow_up

PSEUDO = InstanceKey.pseudo("market", "tides")


def outcomes(inn: Inn, *events: Event) -> list[str]:
    """What became of events that are delivered one after the other."""
    return [inn.desk.log.outcome(delivery) for delivery in inn.tell(*events)]


def test_an_event_is_applied(inn: Inn):
    """The register has the instance, with its transitions and where each comes from."""
    (delivery,) = inn.tell(states(1))
    line = inn.desk.register.line(KEY)
    assert line is not None
    assert (line.instance.status, line.instance.version) == ("enabled", 1)
    steps = inn.desk.register.transitions(KEY)
    assert [step.name for step in steps] == ["installed", "enabled"]
    assert {step.delivery for step in steps} == {delivery}
    assert inn.desk.log.outcome(delivery) == "applied"


def test_nothing_waits_afterwards(inn: Inn):
    """The cursor stands at the end; another look finds nothing, and all is counted."""
    inn.tell(states(1), states(2, SUSPENDED))
    assert inn.apply() == 0
    counts = standing_of(inn.desk.store).counts
    assert (counts["accepted"], counts["applied"], counts["dead"]) == (2, 2, 0)


def test_a_long_log_is_applied_in_batches(inn: Inn):
    """Of 250 entries at most a hundred at a time; the last statement is the one in force."""
    for number in range(250):
        inn.deliver(states(number, SUSPENDED if number % 2 else OPERATES))
    assert inn.apply() == 3
    line = inn.desk.register.line(KEY)
    assert line is not None
    assert (line.instance.status, line.instance.transitions) == ("suspended", 251)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((states(1), states(2, SUSPENDED)), ["applied", "applied"]),
        ((states(1), states(2)), ["applied", "unchanged"]),
        ((states(1), states(1)), ["applied", "unchanged"]),
        ((states(2), states(1, SUSPENDED)), ["applied", "stale"]),
        ((states(1, hint=True, creates=False),), ["unsupported"]),
        ((states(1), removes(2), states(1)), ["applied", "applied", "stale"]),
    ],
)
def test_every_outcome_is_told(inn: Inn, events: tuple[Event, ...], expected: list[str]):
    """Of each delivery it can be said afterwards what became of it."""
    assert outcomes(inn, *events) == expected


def test_what_is_unsupported_leaves_no_instance(inn: Inn):
    """A hint alone brings nothing into being."""
    inn.tell(states(1, hint=True, creates=False))
    assert inn.desk.register.line(KEY) is None
    assert standing_of(inn.desk.store).instances == 0


@pytest.mark.parametrize("mark", [one for one in Mark if one is not Mark.UNDECODABLE])
def test_marked_entries_are_kept_and_not_applied(inn: Inn, mark: Mark):
    """Their outcome is their mark; no instance, no transition, no work."""
    delivery = inn.deliver(states(1), mark=mark)
    inn.apply()
    assert inn.desk.log.outcome(delivery) == mark
    assert inn.desk.register.line(KEY) is None
    assert open_work(inn.desk.store) == 0
    assert standing_of(inn.desk.store).counts["applied"] == 1


def test_what_cannot_be_understood_becomes_a_dead_letter(inn: Inn):
    """With the receiver's note of what is wrong; what comes after it is applied."""
    event = Event(type="unknown", kind=EventKind.OTHER, notes=("payload is no object",))
    delivery = inn.deliver(event, PSEUDO, mark=Mark.UNDECODABLE)
    after = inn.deliver(states(1))
    inn.apply()
    letter = inn.desk.dead_letters.find(delivery)
    assert letter is not None
    assert (letter.subject, letter.delivery, letter.instance) == ("entry", delivery, str(PSEUDO))
    assert "payload is no object" in letter.error
    assert [inn.desk.log.outcome(one) for one in (delivery, after)] == ["dead", "applied"]
    assert standing_of(inn.desk.store).counts["dead"] == 1


def test_notes_stand_in_the_outcome(inn: Inn):
    """What was found wrong with a part of an event can be read where it is asked for."""
    notes = ("key too short",)
    event = Event(type="secrets", kind=EventKind.SECRETS, secrets={"a": "1"}, notes=notes)
    delivery = inn.deliver(event)
    inn.apply()
    assert inn.desk.log.outcome(delivery) == "applied (key too short)"


def held(inn: Inn, key: InstanceKey = KEY) -> dict[str, Any]:
    """The secrets in force."""
    line = inn.desk.register.line(key)
    return inn.desk.register.secrets(line.instance) if line else {}


def test_secrets_are_merged_by_name(inn: Inn):
    """An update changes what it names; of each name the one before stays, and none before that."""
    inn.tell(brings(1, {"a": "a1", "b": "b1"}), brings(2, {"a": "a2"}))
    assert held(inn) == {"a": "a2", "b": "b1"}
    assert len(inn.desk.register.sealed_secrets([KEY])[0]) == 3
    inn.tell(brings(3, {"a": "a3"}))
    assert held(inn) == {"a": "a3", "b": "b1"}
    line = inn.desk.register.line(KEY)
    assert line is not None
    slot = line.instance.secrets["a"]
    assert slot.previous is not None
    sealed = inn.desk.register.sealed_secrets([KEY])[0]
    expected = {f"a\n{slot.current.digest}", f"a\n{slot.previous.digest}"}
    assert expected == {field for field in sealed if field.startswith("a\n")}


def test_secrets_of_one_batch_are_merged_too(inn: Inn):
    """It makes no difference whether updates are folded together or one by one."""
    for event in (
        brings(1, {"a": "a1", "b": "b1"}),
        brings(3, {"a": "a3"}),
        brings(2, {"a": "a2", "c": ["c", 2]}),
        brings(3, {"a": "a3"}),
    ):
        inn.deliver(event)
    assert inn.apply() == 1
    assert held(inn) == {"a": "a3", "b": "b1", "c": ["c", 2]}
    assert len(inn.desk.register.sealed_secrets([KEY])[0]) == 4


def test_the_same_secret_again_changes_nothing(inn: Inn):
    """It is not stored a second time, and nobody is told of it."""
    inn.tell(brings(1, {"a": "a1"}))
    before = inn.desk.register.sealed_secrets([KEY])[0]
    inn.tell(brings(2, {"a": "a1"}))
    assert inn.desk.register.sealed_secrets([KEY])[0] == before
    assert len(inn.desk.register.notices(KEY)) == 1


def test_secrets_are_stored_encrypted(inn: Inn, valkey_folder: Path):
    """No value stands in clear in any of the store's files, nor in the line of the register."""
    inn.tell(states(1), brings(2, {"a": "canary-1", "b": {"deep": "canary-2"}}))
    assert held(inn) == {"a": "canary-1", "b": {"deep": "canary-2"}}
    files = list(valkey_folder.rglob("*.aof"))
    assert files
    assert not any(b"canary-" in file.read_bytes() for file in files)


def test_a_learned_policy_is_there_for_receivers(inn: Inn):
    """With the commit that folds it; and gone with the removal of the instance."""
    name = keys_of(PARTITION).policy + str(KEY)
    inn.tell(states(1), brings(2, policy=signing("one")))
    assert b"-one-" in inn.desk.store.command("GET", name)
    assert inn.desk.register.with_policy() == [KEY]
    inn.tell(removes(3))
    assert inn.desk.store.command("GET", name) is None
    assert inn.desk.register.with_policy() == []


def test_only_follow_ups_that_want_it_are_set_off(make_inn: MakeInn):
    """By what happened, the app and the marketplace."""
    inn = make_inn(
        follow_up(name="any", on=("enabled",)),
        follow_up(name="ours", on=("enabled", "suspended"), app="tides", platform="market"),
        follow_up(name="other app", on=("enabled",), app="floods"),
        follow_up(name="other market", on=("enabled",), platform="bazaar"),
        follow_up(name="other time", on=("disabled",)),
    )
    inn.tell(states(1), states(2, SUSPENDED))
    assert [work.work.name for work in inn.works()] == ["any", "ours", "ours"]
    assert {work.work.lane for work in inn.works()} == {LaneKind.LIFECYCLE}
    assert open_work(inn.desk.store) == 3


def test_ids_of_work_are_derived(inn: Inn):
    """From the instance, the delivery, the transition and the follow-up's name, and from nothing
    else."""
    (delivery,) = inn.tell(states(1))
    enabled = inn.desk.register.transitions(KEY)[1]
    expected = idempotency_key(KEY, delivery, enabled.id, "record")
    assert enabled.follow_ups == {"record": expected}
    assert [work.work.id for work in inn.works()] == [expected]


def test_a_fold_repeated_asks_for_the_same_work(inn: Inn):
    """Where a fail-over forgets the commit but not all of the outbox, nothing is set off twice."""
    inn.tell(states(1), states(2, SUSPENDED))
    before = inn.works()
    keys = keys_of(PARTITION)
    inn.desk.store.command(
        "DEL", keys.cursor, keys.instance + str(KEY), keys.transitions + str(KEY), keys.outcomes
    )
    assert inn.apply() == 1
    assert inn.works() == before
    assert open_work(inn.desk.store) == 2
    assert inn.names() == ["installed", "enabled", "suspended"]


def test_secrets_and_app_events_set_off_follow_ups(make_inn: MakeInn):
    """They are no transitions; an app event has a lane of its own."""
    inn = make_inn(follow_up("record", "secrets_updated", "app_event"))
    event = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"tide": "high"})
    inn.tell(brings(1, {"a": "a1"}), event)
    assert inn.names() == []
    assert [work.work.lane for work in inn.works()] == [LaneKind.LIFECYCLE, LaneKind.APP]


def test_an_app_event_needs_no_instance(make_inn: MakeInn):
    """What a customer's account sends is passed on, whether we know the customer or not."""
    inn = make_inn(follow_up("record", "app_event"))
    inn.tell(Event(type="automation_rule", kind=EventKind.APP_EVENT))
    assert inn.desk.register.line(KEY) is None
    assert len(inn.works()) == 1


@pytest.mark.parametrize("key", [PSEUDO, KEY])
def test_a_handshake_is_work_for_the_platform_lane(inn: Inn, key: InstanceKey):
    """The provider's and a customer's; neither makes an instance, nor moves one."""
    event = Event(
        type="webhook.verify",
        kind=EventKind.HANDSHAKE,
        callback="https://market.example/verify?code=1",
        callback_host="market.example",
    )
    inn.tell(event, key=key)
    (work,) = inn.works(key)
    assert (work.work.kind, work.work.lane) == (WorkKind.HANDSHAKE, LaneKind.PLATFORM)
    assert inn.desk.register.line(key) is None
    assert [one.due["marketplaces"] for one in inn.desk.outbox.probe()].count(True) == 1


def test_bells_are_rung_for_work_alone(inn: Inn):
    """A commit that sets off nothing rings for nobody."""
    inn.desk.queue.command("DEL", "rq:queue:innkeeper-perform", f"ik:bell:{BellName.PERFORM}")
    inn.tell(brings(1, {"a": "a1"}))
    assert inn.desk.queue.command("LLEN", "rq:queue:innkeeper-perform") == 0
    inn.tell(states(2))
    assert inn.desk.queue.command("LLEN", "rq:queue:innkeeper-perform") == 1


def test_instances_of_other_partitions_do_not_mix(inn: Inn):
    """Sixty customers in one look, each with its own line and transitions."""
    customers = [InstanceKey("market", "tides", f"c{number}") for number in range(60)]
    assert len({partition_of(key) for key in customers}) > 20
    for number, key in enumerate(customers):
        inn.deliver(states(1, DISABLED if number % 2 else OPERATES), key)
    inn.apply()
    lines = inn.desk.register.lines(customers)
    assert [line.instance.status for line in lines if line] == ["enabled", "disabled"] * 30
