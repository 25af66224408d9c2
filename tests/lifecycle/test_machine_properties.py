"""Orders and duplicates as properties: in whichever order they arrive, all ends as if sorted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from innkeeper.lifecycle.events import Event
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.machine import Outcome
from tests.lifecycle.histories import histories
from tests.lifecycle.reference import Model, fold_sorted
from tests.lifecycle.telling import (
    DISABLED,
    OPERATES,
    SUSPENDED,
    arrive,
    brings,
    digest,
    names,
    order,
    removes,
    states,
    tell,
)

FEW = settings(max_examples=150, deadline=None)
MANY = settings(max_examples=400, deadline=None)


def last(events: list[Event] | tuple[Event, ...]) -> Instance:
    """The instance after these events."""
    instance: Instance | None = None
    for number, event in enumerate(events, start=1):
        instance = arrive(instance, event, number).instance
    assert instance is not None
    return instance


def digests(values: dict[str, object]) -> dict[str, str]:
    """Values as the machine knows them."""
    return {name: digest(name, value) for name, value in values.items()}


def summary(instance: Instance) -> tuple[object, ...]:
    """What of an instance must not depend on the order of arrival."""
    flags, policy = instance.flags, instance.policy
    removed = instance.status is Status.REMOVED
    current = {
        name: slot.current.digest
        for name, slot in instance.secrets.items()
        if instance.in_force(slot.current)
    }
    fingerprint = (
        policy.current.policy.fingerprint if policy and instance.in_force(policy.current) else None
    )
    return (
        str(instance.status),
        instance.existence.present,
        instance.existence.object_id,
        None if removed else (flags.disabled, flags.suspended, flags.enabled_by_customer),
        current,
        fingerprint,
    )


def expected_of(model: Model) -> tuple[object, ...]:
    """The same of the reference model."""
    flags = tuple(model.flags[name] for name in ("disabled", "suspended", "enabled_by_customer"))
    return (
        model.status,
        model.present,
        model.object_id,
        None if model.present is False else flags,
        digests(model.in_force),
        model.policy_in_force,
    )


@FEW
@given(histories())
def test_every_order_of_arrival_ends_as_the_reference_model(history):
    """Status, existence, flags, secrets and key in force, for every permutation."""
    expected = expected_of(fold_sorted(history))
    for arrived in permutations(history):
        assert summary(last(arrived)) == expected, arrived


@FEW
@given(histories(), st.data())
def test_duplicates_change_nothing(history, data):
    """Any of them again, at any place after the first time or before it."""
    expected = expected_of(fold_sorted(history))
    arrived = data.draw(st.permutations(history))
    for _ in range(data.draw(st.integers(1, 5))):
        again = data.draw(st.sampled_from(history))
        arrived.insert(data.draw(st.integers(0, len(arrived))), again)
    assert summary(last(arrived)) == expected


@MANY
@given(histories(longest=8), st.data())
def test_longer_histories_end_as_the_reference_model(history, data):
    """Up to eight events, in some order."""
    expected = expected_of(fold_sorted(history))
    assert summary(last(data.draw(st.permutations(history)))) == expected


@FEW
@given(histories())
def test_no_secret_is_ever_lost(history):
    """Each name that was ever said is held, its newest value and the newest other one."""
    model = fold_sorted(history)
    for arrived in permutations(history):
        slots = last(arrived).secrets
        assert set(slots) == set(model.secrets)
        for name, slot in slots.items():
            before = model.previous(name)
            assert slot.current.digest == digest(name, model.secrets[name][-1][1])
            held = slot.previous.digest if slot.previous else None
            assert held == (digest(name, before) if before else None)


@FEW
@given(histories(), st.data())
def test_proven_histories_leave_no_doubt(history, data):
    """Nothing is unconfirmed where every key proves its order and no two statements disagree."""
    instance = last(data.draw(st.permutations(history)))
    assert (instance.confirmed, instance.confirm_wanted) == (True, 0)


@MANY
@given(histories(longest=8), st.data())
def test_transitions_make_one_chain(history, data):
    """Each step begins where the one before it ended; all are numbered without a gap."""
    steps = tell(data.draw(st.permutations(history)))
    chain = [each for step in steps for each in step.happenings if each.number]
    assert [each.number for each in chain] == list(range(1, len(chain) + 1))
    # One step may have two names: the first sight of an instance that operates does.
    moves = list(dict.fromkeys((each.delivery, each.from_status, each.to_status) for each in chain))
    assert all(before[2] is after[1] for before, after in pairwise(moves))
    instance = steps[-1].instance
    assert instance
    assert instance.transitions == len(chain)
    if chain:
        assert chain[0].from_status is None
        assert chain[-1].to_status is instance.status
    assert sum(len(step.happenings) for step in steps) == len(
        {each.id for step in steps for each in step.happenings}
    )


@MANY
@given(histories(longest=8), st.data())
def test_what_is_not_applied_sets_nothing_off(history, data):
    """An applied event raises the version; else only newer keys do, and facts and status stay."""
    known: Instance | None = None
    for event in data.draw(st.permutations([*history, *history])):
        folded = arrive(known, event)
        assert folded.instance
        after, before = folded.instance, known or Instance(platform="", app="", account="")
        applied = folded.outcome is Outcome.APPLIED
        newer = keys_of(after) != keys_of(before)
        assert (after.version > before.version) is (applied or newer)
        if not applied:
            assert folded.happenings == ()
            assert (after.status, after.flags) == (before.status, before.flags)
        known = after


def keys_of(instance: Instance) -> tuple:
    """The order keys of its facts, its secrets aside."""
    return instance.existence.order, instance.existence.floor, instance.flags_order


def attempts(object_ids: str = "A", kinds: tuple[str, ...] = ("issued",)) -> st.SearchStrategy:
    """Statements whose keys prove nothing."""
    at = st.builds("{}:{}".format, st.sampled_from(kinds), st.integers(1, 9))
    flags = st.sampled_from([OPERATES, SUSPENDED, DISABLED])
    return st.builds(states, at | st.none(), flags, st.sampled_from(object_ids))


def ways_to_go() -> Iterator[Event]:
    """A removal by each kind of key, with and without the object."""
    for at in (None, 5, "issued:5"):
        yield removes(at)
        yield removes(at, None)


@MANY
@given(
    st.lists(attempts(), max_size=3),
    st.sampled_from(list(ways_to_go())),
    st.lists(attempts() | st.just(brings(7, {"token": "t"})), max_size=4),
)
def test_attempts_never_revive_the_same_object(before, removal, later):
    """Whatever its time of issue, a late retry does not undo a removal."""
    steps = tell([states(1), *before, removal, *later])
    happened = names(steps[1 + len(before) :])
    assert set(happened) - {"secrets_updated"} == {"removed"}
    assert steps[-1].instance
    assert steps[-1].instance.status is Status.REMOVED


@MANY
@given(st.lists(attempts("AB", ("issued", "updated")) | st.just(removes("issued:4")), max_size=6))
def test_unproven_histories_never_raise_and_keep_their_secrets(events):
    """Whatever comes, each event folds, doubts are counted, and the secret is held."""
    steps = tell([brings(1, {"token": "t"}), *events])
    instance = steps[-1].instance
    assert instance
    assert set(instance.secrets) == {"token"}
    assert instance.flags.phase in (None, UNSET)
    assert instance.confirmed or instance.confirm_wanted > 0


@MANY
@given(histories(kind="updated"), st.data())
def test_a_proven_statement_has_the_last_word(history, data):
    """After any doubts about what was proven once, a newer proven statement ends them."""
    doubts = data.draw(st.lists(attempts("A"), max_size=3))
    final = states("updated:999", SUSPENDED, "Z")
    told = [states("updated:1"), *data.draw(st.permutations(history)), *doubts, final]
    instance = last(told)
    assert (
        instance.status,
        instance.confirmed,
        instance.flags_order,
    ) == (Status.SUSPENDED, True, order("updated:999"))
