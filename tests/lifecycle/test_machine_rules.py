"""The rules in the machine's head, one after the other; the sixth is in test_machine_reads."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec import UNSET

from innkeeper.lifecycle.errors import Impossible
from innkeeper.lifecycle.events import Event, EventKind, Flags, InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.lifecycle.machine import Outcome, fold
from tests.lifecycle.telling import (
    DISABLED,
    KEY,
    NO_YES,
    OPERATES,
    SUSPENDED,
    after,
    arrival,
    arrive,
    brings,
    digest,
    names,
    order,
    removes,
    revokes,
    signing,
    states,
    tell,
)


def in_force(instance) -> dict[str, str]:
    """The digests of the secrets that count."""
    return {
        name: slot.current.digest
        for name, slot in instance.secrets.items()
        if instance.in_force(slot.current)
    }


# 1. Order per fact


def test_an_event_changes_only_the_facts_that_it_carries():
    """1: secrets leave the flags alone, flags the secrets."""
    known = after(states(1, SUSPENDED), brings(2, {"token": "t"}))
    assert known.flags == SUSPENDED
    assert known.flags_order == order(1)
    later = after(states(1, SUSPENDED), brings(2, {"token": "t"}), states(3))
    assert later.secrets == known.secrets


def test_secrets_that_are_older_than_the_flags_are_taken():
    """1: create (100), update (102), secrets-update (101), in any order: the secrets are there."""
    events = [states(100), states(102, SUSPENDED), brings(101, {"token": "t"}, signing("k"))]
    for told in permutations(events):
        known = after(*told)
        assert known.status is Status.SUSPENDED
        assert in_force(known) == {"token": digest("token", "t")}
        assert known.policy
        assert known.in_force(known.policy.current)


def test_each_secret_has_an_order_of_its_own():
    """1: a late older delivery still brings the name that the newer one left out."""
    known = after(brings(2, {"a": "new"}), brings(1, {"a": "old", "b": "only"}))
    expected = {"a": digest("a", "new"), "b": digest("b", "only")}
    assert in_force(known) == expected


def test_an_older_statement_is_stale():
    """1: it changes nothing and sets nothing off."""
    last = tell([states(2, SUSPENDED), states(1, OPERATES)])[-1]
    assert last.outcome is Outcome.STALE
    assert after(states(2, SUSPENDED), states(1, OPERATES)).status is Status.SUSPENDED
    assert last.happenings == ()


# 2. The floor


def test_a_removal_is_a_floor_under_all_facts():
    """2: whatever was stated at or below its key is of an installation that is gone."""
    for late in (states(2, SUSPENDED), states(3, SUSPENDED), brings(3, {"token": "t"})):
        known = after(states(1), removes(3), late)
        assert known.status is Status.REMOVED
        assert in_force(known) == {}


def test_a_floor_holds_by_the_time_of_issue_too():
    """2: what was signed before the removal was, is of an installation that is gone."""
    known = after(removes("issued:5"), states("issued:3", object_id="B"))
    assert known.status is Status.REMOVED
    assert after(removes("issued:5"), states("issued:7", object_id="B")).status is Status.ENABLED


def test_a_removed_instance_stays_with_its_keys():
    """2: the tombstone knows what it was and when it went."""
    known = after(states(1), brings(2, {"token": "t"}), removes(3))
    assert known.existence.present is False
    assert (known.existence.object_id, known.existence.floor) == ("A", order(3))
    assert set(known.secrets) == {"token"}


def test_a_reinstallation_starts_afresh():
    """2: neither flags, consent nor secrets of the removed installation count in the new one."""
    known = after(
        states(1, DISABLED), brings(2, {"token": "t"}), removes(3), states(4, NO_YES, "B")
    )
    assert known.status is Status.PENDING
    assert in_force(known) == {}
    assert known.existence.object_id == "B"


def test_secrets_of_a_reinstallation_may_come_before_all_else():
    """2: what lies above the floor is in force, whichever way the removal is heard of."""
    events = [
        states(1),
        removes(3),
        brings(4, {"token": "t"}, object_id="B"),
        states(5, object_id="B"),
    ]
    for told in permutations(events):
        known = after(*told)
        assert known.status is Status.ENABLED
        assert in_force(known) == {"token": digest("token", "t")}


def test_a_removal_that_comes_late_leaves_the_new_installation_alone():
    """2: it raises the floor, and sets nothing off."""
    last = tell([states(1), states(4, object_id="B"), removes(3)])[-1]
    assert last.instance
    assert (last.instance.status, last.instance.existence.floor) == (Status.ENABLED, order(3))
    assert (last.outcome, last.happenings) == (Outcome.STALE, ())


def test_a_removal_may_be_the_first_that_is_heard():
    """2: it leaves a tombstone, which holds down what comes after it."""
    steps = tell([removes(3), states(1), brings(2, {"token": "t"})])
    assert names(steps) == ["removed"]
    assert steps[-1].instance
    assert steps[-1].instance.status is Status.REMOVED


# 3. Equal keys


def test_under_equal_keys_the_first_statement_stands():
    """3: another one with the same key leaves a doubt, and nothing else."""
    last = tell([states(1, OPERATES), states(1, SUSPENDED)])[-1]
    assert last.instance
    assert last.instance.status is Status.ENABLED
    assert (last.instance.confirmed, last.instance.confirm_wanted) == (False, 1)
    assert last.happenings == ()


def test_equal_keys_and_equal_facts_are_no_change():
    """3: a repetition neither counts nor doubts."""
    once, twice = tell([states(1), states(1)])
    assert once.instance
    assert twice.instance
    assert (twice.instance.version, twice.instance.confirmed) == (once.instance.version, True)
    assert twice.outcome is Outcome.UNCHANGED


# 4 and 5. Keys that prove nothing


@pytest.mark.parametrize("at", ["issued:9", "updated:9", "pass:9", None])
def test_what_proves_no_order_is_taken_and_doubted(at):
    """5: it disagrees, nothing tells which is later: taken as it comes, and to be confirmed."""
    last = tell([states(5, OPERATES), states(at, SUSPENDED)])[-1]
    assert last.instance
    assert last.instance.status is Status.SUSPENDED
    assert (last.instance.confirmed, last.instance.confirm_wanted) == (False, 1)
    assert last.instance.flags_order == order(5)


def test_a_smaller_time_of_issue_proves_nothing_either():
    """4: `issued` is the time of an attempt, so that an older one may tell the later change."""
    known = after(states("issued:9", OPERATES), states("issued:5", SUSPENDED))
    assert (known.status, known.confirmed) == (Status.SUSPENDED, False)


@pytest.mark.parametrize("at", ["issued:9", None])
def test_what_proves_no_order_and_agrees_leaves_no_doubt(at):
    """4: it says what is known."""
    known = after(states(5), states(at))
    assert (known.confirmed, known.confirm_wanted) == (True, 0)


def test_a_newer_proven_statement_ends_a_doubt():
    """4: the doubt is over once a better key settles the fact."""
    doubted = [states(5, OPERATES), states("issued:9", SUSPENDED)]
    assert not after(*doubted).confirmed
    assert after(*doubted, states(6, SUSPENDED)).confirmed
    assert not after(*doubted, states(4, SUSPENDED)).confirmed


def test_a_removal_that_proves_no_order_takes_all_that_is_known_with_it():
    """4: nothing tells the order, so what was stated so far lies before it."""
    known = after(states(5), brings(5, {"token": "t"}), removes("issued:9"), states(4, SUSPENDED))
    assert known.status is Status.REMOVED
    assert in_force(known) == {}


def test_a_removal_of_another_object_that_proves_no_order_is_stale():
    """4: the removal of A, heard late, does not remove B."""
    last = tell([states("issued:1"), states("issued:5", object_id="B"), removes("issued:9")])[-1]
    assert last.instance
    assert (last.instance.status, last.outcome) == (Status.ENABLED, Outcome.STALE)


# 4 and 5. Hints


def hint(at, flags=OPERATES, **more) -> Event:
    """A statement that names no object and is to be confirmed."""
    return states(at, flags, None, hint=True, **more)


def test_a_hint_is_taken_and_unconfirmed():
    """5: applied in its order of arrival, and a confirmation is wanted for each."""
    first, second = tell([hint(None, OPERATES), hint(None, DISABLED)])
    assert first.instance
    assert second.instance
    assert (
        first.instance.status,
        first.instance.confirmed,
        first.instance.confirm_wanted,
    ) == (Status.ENABLED, False, 1)
    assert (
        second.instance.status,
        second.instance.confirmed,
        second.instance.confirm_wanted,
    ) == (Status.DISABLED, False, 2)


def test_a_hint_whose_key_shows_it_to_be_old_is_none():
    """4: it neither applies nor wants a confirmation."""
    steps = tell([hint("updated:9", OPERATES), hint("updated:5", DISABLED)])
    assert steps[-1].instance
    assert (steps[-1].instance.status, steps[-1].instance.confirm_wanted) == (Status.ENABLED, 1)
    assert steps[-1].outcome is Outcome.STALE


@pytest.mark.parametrize(
    "known", [None, after(states(1), removes(2)), after(brings(1, {"a": "b"}))]
)
def test_a_hint_without_credential_brings_nothing_into_being(known):
    """5: what nothing but its own word supports is neither made nor brought back."""
    folded = arrive(known, hint(None, creates=False))
    assert (folded.outcome, folded.happenings) == (Outcome.UNSUPPORTED, ())
    assert folded.instance is known


def test_a_hint_without_credential_may_change_what_is_there():
    """5: it concerns an instance that others speak of."""
    known = after(states("updated:1"), hint(None, DISABLED, creates=False))
    assert (known.status, known.confirmed) == (Status.DISABLED, False)


# 7. Objects


def test_another_object_is_another_installation():
    """7: the old one is removed on the way, even where its removal was never heard of."""
    assert names(tell([states(1), states(2, object_id="B")])[-1]) == [
        "removed",
        "installed",
        "enabled",
    ]


@pytest.mark.parametrize("at", ["issued:1", "issued:5", "issued:9", None])
@pytest.mark.parametrize("gone", [2, "issued:5", None])
def test_the_same_object_never_comes_back_from_removal_unproven(at, gone):
    """7: a late retry of its update does not revive it, whatever its time of issue."""
    steps = tell([states("issued:1"), removes(gone), states(at, SUSPENDED)])
    assert steps[-1].instance
    assert steps[-1].instance.status is Status.REMOVED
    assert steps[-1].happenings == ()


def test_the_same_object_comes_back_under_a_newer_key():
    """7: unless a newer key says so."""
    steps = tell([states(1), removes(2), states(3)])
    assert names(steps) == ["installed", "enabled", "removed", "installed", "enabled"]


# 7. What nobody has told since


def test_a_stale_statement_still_tells_a_flag_that_is_not_known():
    """7: the newer event left it out."""
    known = after(states(2, Flags(enabled_by_customer=True)), states(1, DISABLED))
    assert known.flags.disabled is True
    assert known.status is Status.DISABLED


def test_a_stale_statement_still_tells_the_customers_yes():
    """7: a withdrawn yes is `disabled`, one never given is `pending`."""
    assert after(states(2, NO_YES)).status is Status.PENDING
    assert after(states(2, NO_YES), states(1, OPERATES)).status is Status.DISABLED


@pytest.mark.parametrize(("first", "second"), [("A", "B"), (None, None)])
def test_the_yes_of_an_installation_that_is_gone_is_no_longer_one(first, second):
    """7: a stale yes below the floor, or of another object, is not this installation's."""
    events = [states(1, OPERATES, first), removes(2, first), states(3, NO_YES, second)]
    for told in permutations(events):
        assert after(*told).status is Status.PENDING


def test_another_object_tells_nothing_of_this_one():
    """7: a stale statement about A, whose removal was never heard of, is no yes for B."""
    for told in permutations([states(1, OPERATES), states(3, NO_YES, "B")]):
        assert after(*told).status is Status.PENDING


def test_a_flag_that_an_event_leaves_out_stays_as_known():
    """7: nothing said is nothing changed."""
    known = after(states(1, SUSPENDED), states(2, Flags(disabled=True)))
    assert known.flags == Flags(disabled=True, suspended=True, enabled_by_customer=True, phase=None)
    assert UNSET is after(states(1, Flags())).flags.suspended


# 8. Secrets and policies


def test_secrets_merge_and_are_never_replaced_as_a_whole():
    """8: two updates under one audit line with different parts both stay."""
    for told in permutations([brings(7, {"a": "1"}), brings(7, {"b": "2"}), states(7)]):
        assert set(in_force(after(*told))) == {"a", "b"}


def test_a_replaced_secret_stays_as_the_previous_one():
    """8: for the grace period, which starts when it was replaced."""
    slot = after(brings(1, {"a": "old"}), brings(2, {"a": "new"})).secrets["a"]
    assert slot.current.digest == digest("a", "new")
    assert slot.previous
    assert slot.previous.digest == digest("a", "old")
    assert slot.replaced_at == arrival(2).at


def test_secrets_whose_order_cannot_be_told_are_kept():
    """8: the later arrival is the current one, the other the previous one."""
    for first, second in ((1, "issued:9"), ("issued:9", 1), (None, 1), (1, None)):
        slot = after(brings(first, {"a": "x"}), brings(second, {"a": "y"})).secrets["a"]
        assert slot.previous
        values = {slot.current.digest, slot.previous.digest}
        assert values == {digest("a", "x"), digest("a", "y")}


def test_secrets_alone_make_an_instance_that_is_pending_and_not_installed():
    """8: and set off `secrets_updated`, each time that one in force is new."""
    steps = tell([brings(1, {"a": "x"}), brings(2, {"a": "x"}), brings(3, {"a": "y"})])
    assert names(steps) == ["secrets_updated", "secrets_updated"]
    assert steps[-1].instance
    assert (steps[-1].instance.status, steps[-1].instance.transitions) == (Status.PENDING, 0)


def test_an_older_secret_sets_nothing_off():
    """8: it is kept as the previous one."""
    assert names(tell([brings(2, {"a": "new"}), brings(1, {"a": "old"})])[-1]) == []


def test_a_policy_is_learned_and_the_one_before_it_kept():
    """8: like a secret, in the order of its keys."""
    for told in permutations([brings(1, policy=signing("k1")), brings(2, policy=signing("k2"))]):
        slot = after(*told).policy
        assert slot
        assert slot.previous
        fingerprints = (slot.current.policy.fingerprint, slot.previous.policy.fingerprint)
        assert fingerprints == ("k2", "k1")


def test_revoking_the_current_key_ends_the_one_before_it_too():
    """8: at once, and it is not learned again, nor is it named as news."""
    events = [brings(1, policy=signing("k1")), brings(2, policy=signing("k2")), revokes("k2")]
    assert after(*events).policy is None
    steps = tell([*events, brings(3, policy=signing("k2"))])
    assert steps[-1].instance
    assert steps[-1].instance.policy is None
    assert names(steps[-1]) == []


def test_revoking_the_previous_key_leaves_the_current_one():
    """8: only what is named is taken out of force."""
    known = after(brings(1, policy=signing("k1")), brings(2, policy=signing("k2")), revokes("k1"))
    assert known.policy
    assert (known.policy.current.policy.fingerprint, known.policy.previous) == ("k2", None)


def test_another_key_is_learned_after_a_revocation():
    """8: the customer goes on with a new one."""
    known = after(brings(1, policy=signing("k1")), revokes("k1"), brings(2, policy=signing("k2")))
    assert known.policy
    assert known.policy.current.policy.fingerprint == "k2"


@pytest.mark.parametrize("known", [None, after(states(1)), after(brings(1, policy=signing("k1")))])
def test_revoking_what_is_not_held_changes_nothing(known):
    """8: the instance is untouched."""
    folded = arrive(known, revokes("stranger"))
    assert folded.outcome is Outcome.UNCHANGED
    assert folded.instance is known


# 9. Transitions


def test_transitions_are_numbered_and_named_after_their_delivery():
    """9: a repeated fold gives the same ids, so that the same work is asked for."""
    told = tell([states(1), states(2, SUSPENDED)])
    again = tell([states(1), states(2, SUSPENDED)])
    assert again == told
    found = [(each.id, each.number) for step in told for each in step.happenings]
    assert found == [("00-1.1", 1), ("00-1.2", 2), ("00-2.1", 3)]


def test_a_transition_tells_its_cause():
    """9: delivery, time, type, order key and signer, for `explain`."""
    (first, _) = tell([states(7)])[0].happenings
    expected = ("stated", "00-1", arrival(1).at, "audit:7", "key", None, Status.ENABLED)
    assert (
        first.cause,
        first.delivery,
        first.at,
        first.order,
        first.signer,
        first.from_status,
        first.to_status,
    ) == expected


def test_changed_facts_without_a_changed_status_are_an_update():
    """9: what the marketplace states under its own names is a fact as well."""
    steps = tell([states(1, stated={"plan": "s"}), states(2, stated={"plan": "m"}), states(3)])
    assert names(steps) == ["installed", "enabled", "updated"]


def test_version_counts_changes_of_facts():
    """9: so that a reader can tell whether anything moved."""
    versions = [
        step.instance.version
        for step in tell([states(1), states(1), brings(2, {"a": "x"}), states(3, SUSPENDED)])
        if step.instance
    ]
    assert versions == [1, 1, 2, 3]


# 10. Impossible


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind is not EventKind.HANDSHAKE])
def test_the_pseudo_instance_has_no_life(kind):
    """10: only a handshake may belong to it."""
    event = Event(type="any", kind=kind, flags=OPERATES)
    with pytest.raises(Impossible):
        fold(None, InstanceKey.pseudo("market", "tides"), event, arrival(1), digest)


def test_the_pseudo_instance_may_shake_hands():
    """10: it makes no instance of it."""
    pseudo = InstanceKey.pseudo("market", "tides")
    folded = fold(None, pseudo, Event(type="v", kind=EventKind.HANDSHAKE), arrival(1), digest)
    assert names(folded) == ["handshake"]
    assert folded.instance is None


# 11. Forgotten


def test_what_is_forgotten_is_not_known():
    """11: whatever it was, nothing is left and nothing is set off; what comes next is its first."""
    for steps in ([], [states(1)], [states(1), removes(2)], [brings(1, {"a": "x"})]):
        known = tell(steps)[-1].instance if steps else None
        folded = fold(known, KEY, Event(type="f", kind=EventKind.FORGOTTEN), arrival(3), digest)
        assert (folded.instance, folded.happenings, folded.confirm) == (None, (), False)
        again = fold(folded.instance, KEY, states(1), arrival(4), digest)
        assert names(again) == ["installed", "enabled"]


# What Rebilly sends (issue 2): hints without objects; only *enabled* has a time


def rebilly_enabled(time: int) -> Event:
    """An *enabled*, with the time of the last change."""
    flags = Flags(disabled=False, suspended=None, enabled_by_customer=None, phase=None)
    return hint(f"updated:{time}", flags, stated={"updatedTime": time})


def rebilly_disabled() -> Event:
    """A *disabled*, which has no time."""
    flags = Flags(disabled=True, suspended=None, enabled_by_customer=None, phase=None)
    return hint(None, flags)


def test_rebillys_life_and_its_repetition():
    """Enabled, disabled, enabled; then the same bodies again: only *disabled* has an effect."""
    told = [rebilly_enabled(1), rebilly_disabled(), rebilly_enabled(2)]
    steps = tell([*told, *told])
    assert [names(step) for step in steps] == [
        ["installed", "enabled"],
        ["disabled"],
        ["enabled"],
        [],
        ["disabled"],
        [],
    ]
    assert steps[-1].instance
    assert (steps[-1].instance.status, steps[-1].instance.confirmed) == (Status.DISABLED, False)


def test_a_late_enabled_is_told_by_its_time():
    """*Enabled* (1) after *enabled* (2) and *disabled* does not enable again."""
    known = after(rebilly_enabled(2), rebilly_disabled(), rebilly_enabled(1))
    assert known.status is Status.DISABLED


def test_only_keys_of_the_register_matter():
    """The machine names what it makes after the key that it was given."""
    known = after(states(1))
    assert known.key == KEY
