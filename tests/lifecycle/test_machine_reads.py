"""Reads, and the doubts that wait for them: rules 5 and 6, where an API is configured."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from innkeeper.lifecycle.events import Event, EventKind, Flags, Read
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.machine import Folded, Outcome
from tests.lifecycle.histories import histories
from tests.lifecycle.telling import (
    DISABLED,
    NO_YES,
    OPERATES,
    SUSPENDED,
    after,
    arrive,
    brings,
    digest,
    names,
    order,
    removes,
    states,
    tell,
)


def waiting(event: Event) -> Event:
    """The same event, where its app has an API."""
    return replace(event, confirmable=True)


def read(known: Instance | None, found: Event) -> Event:
    """What a read found that was asked for when `known` was all that was known."""
    seen = Read(
        at_version=known.version if known else 0, settles=known.confirm_wanted if known else 0
    )
    return replace(found, read=seen, confirmable=True)


def reads(known: Instance | None, found: Event) -> Folded:
    """The read folded at once."""
    return arrive(known, read(known, found))


WISH = Event(type="wished", kind=EventKind.WISHED, confirmable=True)
DOUBTS = {
    "a hint": states(None, DISABLED, None, hint=True),
    "a hint with a newer key": states(9, DISABLED, None, hint=True),
    "no key": states(None, DISABLED),
    "a time of issue": states("issued:9", DISABLED),
    "another kind of key": states("updated:9", DISABLED),
    "an equal key": states(5, DISABLED),
    "a removal without a key": removes(None),
    "another object without a key": states(None, DISABLED, "B"),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_waits_for_a_read(doubt):
    """5: nothing moves and nothing is set off; a read is asked for, and until then unconfirmed."""
    known = after(states(5))
    folded = arrive(known, waiting(DOUBTS[doubt]))
    assert folded.instance
    assert (folded.outcome, folded.happenings, folded.confirm) == (Outcome.WAITING, (), True)
    assert (folded.instance.status, folded.instance.flags) == (known.status, known.flags)
    assert folded.instance.version == known.version
    assert (folded.instance.confirmed, folded.instance.confirm_wanted) == (False, 1)


@pytest.mark.parametrize("doubt", [name for name in DOUBTS if "hint" not in name])
def test_the_secrets_of_a_proven_doubt_do_not_wait(doubt):
    """8: they are kept, whatever becomes of the rest."""
    told = waiting(replace(DOUBTS[doubt], secrets={"token": "t"}))
    folded = arrive(after(states(5)), told)
    assert folded.instance
    assert folded.instance.secrets["token"].current.digest == digest("token", "t")
    assert names(folded) == ["secrets_updated"]
    assert folded.confirm


@pytest.mark.parametrize("first", [states(5), read(None, states(None))], ids=["told", "read"])
def test_what_is_told_anew_overtakes_a_read(first):
    """6: a newer statement of what is known stands against an answer that was slow to come."""
    known = after(states(5), first)
    slow = read(known, states(None, SUSPENDED))
    told = arrive(known, waiting(states(7))).instance
    assert told
    folded = arrive(told, slow)
    assert (folded.outcome, folded.instance, folded.confirm) == (Outcome.OVERTAKEN, told, True)


def test_a_yes_that_waited_was_given():
    """7: withdrawn before the read that settles it, it makes the instance disabled, not pending."""
    known = reads(after(states(5, NO_YES)), states(None, NO_YES)).instance
    waits = arrive(known, waiting(states(7))).instance
    assert waits
    assert (waits.status, waits.consent) == (Status.PENDING, None)
    folded = reads(waits, states(None, NO_YES))
    assert folded.instance
    assert (folded.instance.status, names(folded)) == (Status.DISABLED, ["disabled"])


def test_the_yes_of_an_installation_that_is_gone_does_not_wait():
    """7: neither past a removal nor for another object."""
    known = reads(after(states(5, NO_YES)), states(None, NO_YES)).instance
    waits = arrive(known, waiting(states(7))).instance
    for gone in (removes(None), states(None, NO_YES, "B")):
        left = reads(waits, gone).instance
        assert left
        assert (left.consent, left.consent_told) == (None, None)


def test_a_wish_is_a_doubt_that_states_nothing():
    """6: what is known stands, unconfirmed, until a read that was asked for after it settles it."""
    known = after(states(5))
    early = read(known, states(None, DISABLED))
    folded = arrive(known, WISH)
    assert folded.instance
    assert (folded.outcome, folded.happenings, folded.confirm) == (Outcome.WAITING, (), True)
    assert (folded.instance.confirmed, folded.instance.version) == (False, known.version)
    assert folded.instance.flags == known.flags
    overtaken = arrive(folded.instance, early).instance
    assert overtaken
    assert not overtaken.confirmed
    settled = reads(overtaken, states(None, DISABLED)).instance
    assert settled
    assert settled.confirmed


def test_a_wish_about_a_stranger_asks_for_a_read_and_leaves_no_trace():
    """6: without an API nobody can be asked."""
    folded = arrive(None, WISH)
    assert (folded.instance, folded.confirm) == (None, True)
    assert not arrive(None, replace(WISH, confirmable=False)).confirm


def test_a_hint_about_a_stranger_waits_too():
    """5: it makes a line of the register that is pending, and installs nothing."""
    folded = arrive(None, waiting(DOUBTS["a hint"]))
    assert folded.instance
    assert (folded.instance.status, folded.happenings) == (Status.PENDING, ())
    assert names(reads(folded.instance, states("updated:1"))) == ["installed", "enabled"]


def test_a_hint_without_credential_asks_for_a_read_and_leaves_no_trace():
    """5: only the marketplace's own word makes an instance of it."""
    folded = arrive(None, waiting(states(None, DISABLED, None, hint=True, creates=False)))
    assert (folded.instance, folded.outcome) == (None, Outcome.UNSUPPORTED)
    assert folded.confirm
    assert names(reads(None, states("updated:1"))) == ["installed", "enabled"]


@pytest.mark.parametrize("proven", [states(6, SUSPENDED), brings(6, {"a": "b"}), states(5)])
def test_what_is_proven_waits_for_nothing(proven):
    """5: an API makes no difference to it."""
    known = after(states(5))
    assert arrive(known, waiting(proven)) == arrive(known, proven)
    assert not arrive(known, waiting(proven)).confirm


def test_a_read_settles_what_was_wanted_before_it():
    """6: hints coalesce: one read settles all that were raised before its request."""
    doubted = after(states(5), waiting(DOUBTS["a hint"]), waiting(DOUBTS["no key"]))
    folded = reads(doubted, states(None, DISABLED))
    assert folded.instance
    assert (folded.instance.status, folded.instance.confirmed) == (Status.DISABLED, True)
    assert (folded.instance.confirm_wanted, folded.instance.confirm_settled) == (2, 2)
    assert names(folded) == ["disabled"]
    assert not folded.confirm


def test_a_doubt_during_a_read_is_not_lost():
    """6: the read is taken, and does not settle what came after its request."""
    doubted = after(states(5), waiting(DOUBTS["a hint"]))
    answer = read(doubted, states(None, OPERATES))
    again = arrive(doubted, waiting(DOUBTS["a hint"])).instance
    folded = arrive(again, answer)
    assert folded.instance
    assert (folded.instance.confirmed, folded.outcome) == (False, Outcome.UNCHANGED)
    assert (folded.instance.confirm_wanted, folded.instance.confirm_settled) == (2, 1)


@pytest.mark.parametrize(
    "faster",
    [states(6, SUSPENDED), removes(6), brings(6, {"token": "t"}), states(6, OPERATES, "B")],
)
def test_a_read_that_is_overtaken_changes_nothing(faster):
    """6: something moved the instance since its request: it is wanted again."""
    known = after(states(5))
    answer = read(known, states(None, DISABLED))
    moved = arrive(known, faster).instance
    folded = arrive(moved, answer)
    assert folded == Folded(instance=moved, outcome=Outcome.OVERTAKEN, confirm=True)


def test_a_read_of_a_stranger_that_came_meanwhile_is_overtaken():
    """6: it was not known before the request, and is now."""
    answer = read(None, states(None, DISABLED))
    assert arrive(after(states(5)), answer).outcome is Outcome.OVERTAKEN


def test_a_read_from_an_old_copy_is_overtaken():
    """6: its own key shows that the marketplace answered from before what we know."""
    known = after(states("updated:5"))
    folded = reads(known, states("updated:4", DISABLED))
    assert folded == Folded(instance=known, outcome=Outcome.OVERTAKEN, confirm=True)


def test_a_read_with_an_equal_key_corrects():
    """6: what the first statement under that key said is not what stands there."""
    assert names(reads(after(states("updated:5")), states("updated:5", DISABLED))) == ["disabled"]


@pytest.mark.parametrize("event", [states(9, SUSPENDED), removes(9), states(9, OPERATES, "B")])
def test_what_a_keyless_read_set_is_changed_by_another_read_only(event):
    """6: reads and deliveries share no kind of key, so that a newer delivery is a doubt."""
    known = reads(after(states(5)), states(None, DISABLED)).instance
    folded = arrive(known, waiting(event))
    assert (folded.outcome, folded.confirm) == (Outcome.WAITING, True)
    assert folded.instance
    assert folded.instance.status is Status.DISABLED


def test_what_a_read_with_a_key_set_is_changed_by_a_newer_delivery():
    """6: where they share a kind of key, the key decides."""
    known = reads(after(states("updated:5")), states("updated:6", DISABLED)).instance
    assert names(arrive(known, waiting(states("updated:7")))) == ["enabled"]
    assert arrive(known, waiting(states("updated:5"))).outcome is Outcome.STALE


def test_a_read_that_finds_nothing_removes():
    """6: and what was stated so far lies below it."""
    folded = reads(after(states(5), brings(5, {"token": "t"})), removes(None, None))
    assert folded.instance
    assert (names(folded), folded.instance.confirmed) == (["removed"], True)
    assert not folded.instance.in_force(folded.instance.secrets["token"].current)


def test_the_secrets_of_an_installation_that_went_before_a_read_go_with_it():
    """2: whichever comes first, its removal or the read that shows the one made since."""
    known = after(states(1), brings(3, {"token": "t"}))
    seen = reads(known, states(None, OPERATES, "B")).instance
    folded = arrive(seen, waiting(removes(5)))
    assert folded.instance
    assert (folded.outcome, folded.instance.status) == (Outcome.STALE, Status.ENABLED)
    assert not folded.instance.in_force(folded.instance.secrets["token"].current)


def test_a_read_may_bring_the_same_object_back():
    """6: it is the marketplace's present word, not a late retry."""
    known = after(states(5), removes("issued:9"))
    assert names(reads(known, states(None))) == ["installed", "enabled"]


def test_reads_make_no_hints():
    """6: a read never asks for another, unless it was overtaken."""
    known = after(states(5))
    for found in (states(None), states(None, DISABLED), states(None, NO_YES, "B"), removes(None)):
        folded = reads(known, found)
        assert folded.instance
        assert (folded.confirm, folded.instance.confirm_wanted) == (False, 0)


def test_an_instance_that_was_there_before_us_is_adopted():
    """9: in place of `installed` and `enabled`, and once only."""
    found = replace(states(None, SUSPENDED), adopts=True)
    first = reads(None, found)
    assert names(first) == ["adopted"]
    assert names(reads(first.instance, replace(states(None, OPERATES), adopts=True))) == ["resumed"]


def test_reads_among_deliveries_keep_every_secret():
    """8: in any order of two deliveries, a read and a secrets-update, the secret is there."""
    events = [states(1), brings(2, {"token": "t"}), states(3, SUSPENDED), "read"]
    for told in permutations(events):
        known: Instance | None = None
        for event in told:
            said = read(known, states(None, SUSPENDED)) if event == "read" else event
            assert isinstance(said, Event)
            known = arrive(known, waiting(said)).instance
        assert known
        slot = known.secrets["token"]
        assert known.in_force(slot.current)
        assert slot.current.digest == digest("token", "t")


FLAGS = st.sampled_from([OPERATES, SUSPENDED, DISABLED])


@settings(max_examples=300, deadline=None)
@given(histories(), FLAGS, st.data())
def test_a_last_read_has_the_last_word(history, truth: Flags, data):
    """Whatever came in, in whatever order: once nothing is faster, what was read stands."""
    arrived = data.draw(st.permutations(history))
    doubts = data.draw(st.lists(st.sampled_from(list(DOUBTS.values())), max_size=3))
    known = tell([waiting(event) for event in [*arrived, *doubts]])[-1].instance
    folded = reads(known, states(None, truth, "Z"))
    assert folded.instance
    expected = after(states(1, truth)).status
    assert (folded.instance.status, folded.instance.confirmed) == (expected, True)
    assert folded.instance.existence.object_id == "Z"
    assert set(folded.instance.secrets) == {name for event in history for name in event.secrets}


def test_the_best_key_survives_a_read():
    """6: a keyless read takes no key away, so that what is older stays stale."""
    known = reads(after(states(5)), states(None, DISABLED)).instance
    assert known
    assert known.flags_order == order(5)
    assert arrive(known, waiting(states(4))).outcome is Outcome.STALE


def test_the_yes_of_an_installation_anew_waits_for_the_read_that_shows_it():
    """7: given to another object than the known one, and withdrawn before a read finds that."""
    known = reads(after(states(5)), states(None)).instance
    waits = arrive(known, waiting(states(7, object_id="B"))).instance
    assert waits
    assert (waits.existence.object_id, waits.status) == ("A", Status.ENABLED)
    folded = reads(waits, states(None, NO_YES, "B"))
    assert folded.instance
    assert (folded.instance.existence.object_id, folded.instance.status) == ("B", Status.DISABLED)
    gone = reads(waits, removes(None)).instance
    assert gone
    assert gone.consent_told is None


def test_a_hints_secrets_are_the_reads_to_bring():
    """8: whoever can hint hands in no secret in a customer's name: the read tells the true one."""
    hinted = waiting(states(None, OPERATES, None, hint=True, secrets={"settings.key": "hinted"}))
    told = arrive(None, hinted)
    assert told.instance is not None
    assert told.instance.secrets == {}
    assert told.happenings == ()
    found = read(told.instance, states(None, OPERATES, None, secrets={"settings.key": "true"}))
    known = arrive(told.instance, found).instance
    assert known is not None
    assert known.secrets["settings.key"].current.digest == digest("settings.key", "true")


def test_a_read_that_finds_one_gone_says_nothing_of_the_next_ones_secrets():
    """8: an API that is asked for one object tells nothing of another, whose secrets may be here
    already: they stay in force."""
    known = after(states(5), brings(6, {"a": "a1"}), brings(8, {"b": "b2"}))
    gone = reads(known, removes(None)).instance
    assert gone
    anew = reads(gone, states(None, object_id="B")).instance
    assert anew
    assert all(anew.in_force(slot.current) for slot in anew.secrets.values())


def test_the_key_of_a_removal_that_waits_counts_at_once():
    """7: what was told before it is not the next one's, whom a read may show first; what comes
    after it is."""
    known = reads(after(states(5), brings(6, {"a": "a1"})), states(None)).instance
    folded = arrive(known, waiting(removes(9)))
    assert folded.instance
    assert (folded.outcome, folded.instance.status) == (Outcome.WAITING, Status.ENABLED)
    assert not folded.instance.in_force(folded.instance.secrets["a"].current)
    told = arrive(folded.instance, brings(11, {"b": "b2"}), number=1001).instance
    anew = reads(told, states(None, object_id="B")).instance
    assert anew
    assert {name: anew.in_force(slot.current) for name, slot in anew.secrets.items()} == {
        "a": False,
        "b": True,
    }
