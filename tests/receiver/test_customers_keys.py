"""Customers' signing keys: learned from the provider's word, and good for themselves alone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from innkeeper.config import StoreSection
from innkeeper.lifecycle.events import Event, EventKind
from innkeeper.operations.desk import Desk
from innkeeper.store.connection import Store
from innkeeper.store.entry import Captured, EntrySource, NewEntry, new_delivery_id
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from tests.conftest import MakeDesk
from tests.deliveries import (
    CUSTOMER,
    PATH,
    app_event,
    delivery,
    instance,
    lifecycle,
    policy_block,
    secrets_update,
    told,
    xurrent_app,
)
from tests.keys import policy_for
from tests.processes import soon
from tests.receiver.conftest import Start
from tests.receiver.running import Running
from tests.store.servers import server

ApplyAll = Callable[[], None]
OTHER = "windmill"


@pytest.fixture
def receiver(start: Start) -> Running:
    """A receiver that knows nobody yet."""
    return start()


@pytest.fixture
def learn(receiver: Running, apply_all: ApplyAll) -> Callable[..., None]:
    """Has the provider bring a customer's key, and apply fold it."""

    def run(customer: str = CUSTOMER, owner: str | None = None, audit: int = 1) -> None:
        block = policy_block(owner or customer)
        body = delivery(secrets_update(customer, audit, policy=block))
        assert receiver.post(PATH, body).status == 202
        apply_all()

    return run


def of(customer: str = CUSTOMER) -> str:
    """The address of a customer's own webhook."""
    return f"{PATH}?account={customer}"


def test_a_key_is_in_force_within_a_second(receiver: Running, learn: Callable[..., None]):
    """Refused before the key has come, and accepted a second after it was applied at the latest."""
    assert receiver.post(of(), app_event()).status == 401
    learn()
    assert soon(lambda: receiver.post(of(), app_event()).status == 202, 1.2)


def test_a_key_survives_a_restart(receiver: Running, start: Start, learn: Callable[..., None]):
    """A receiver that starts afterwards knows it from the store."""
    learn()
    assert start().post(of(), app_event()).status == 202


def test_both_parameters_name_the_account(receiver: Running, learn: Callable[..., None]):
    """`account` and `customer_account_id` are one; two different accounts are none."""
    learn()
    assert receiver.post(f"{PATH}?customer_account_id={CUSTOMER}", app_event()).status == 202
    assert receiver.post(f"{of()}&customer_account_id={OTHER}", app_event()).status == 401


def test_a_customer_speaks_for_itself_alone(receiver: Running, learn: Callable[..., None]):
    """Another customer's key, and one's own at another's address: 401."""
    learn(CUSTOMER)
    learn(OTHER)
    assert receiver.post(of(CUSTOMER), app_event(CUSTOMER, owner=OTHER)).status == 401
    assert receiver.post(of(OTHER), app_event(CUSTOMER)).status == 401
    assert receiver.post(of(OTHER), app_event(OTHER, owner=CUSTOMER)).status == 401
    assert receiver.post(PATH, app_event(CUSTOMER)).status == 401
    foreign = told("automation_rule", {}, account=OTHER)
    body = delivery(foreign, account=CUSTOMER, owner=CUSTOMER)
    assert receiver.post(of(CUSTOMER), body).status == 401
    assert receiver.post(of(CUSTOMER), app_event(CUSTOMER)).status == 202


@pytest.mark.parametrize("about", [CUSTOMER, OTHER])
@pytest.mark.parametrize("event", ["create", "update", "delete", "secrets-update", "anything-else"])
def test_a_customer_says_nothing_of_instances(
    receiver: Running,
    learn: Callable[..., None],
    apply_all: ApplyAll,
    desk: Desk,
    event: str,
    about: str,
):
    """Signed with a customer's key a lifecycle event is refused, and nothing is learned of it."""
    learn()
    data = lifecycle(f"app_instance.{event}", about, 9, policy=policy_block("thief"))
    data["account_id"] = CUSTOMER
    for path in (of(), PATH, of(about)):
        body = delivery(data, account=CUSTOMER, owner=CUSTOMER)
        assert receiver.post(path, body).status == 401
    apply_all()
    assert receiver.post(of(about), app_event(about, owner="thief")).status == 401
    line = desk.register.line(instance(OTHER))
    assert line is None


def test_nothing_is_learned_even_after_a_restart(
    receiver: Running, start: Start, learn: Callable[..., None], apply_all: ApplyAll
):
    """A refused lifecycle event leaves no key in the store that another receiver could find."""
    learn()
    data = secrets_update(OTHER, 9, policy=policy_block("thief")) | {"account_id": CUSTOMER}
    assert receiver.post(of(), delivery(data, account=CUSTOMER, owner=CUSTOMER)).status == 401
    apply_all()
    assert start().post(of(OTHER), app_event(OTHER, owner="thief")).status == 401


def test_a_bad_key_replaces_nothing(receiver: Running, learn: Callable[..., None]):
    """A policy whose key is no good is not learned; the one before it stays in force."""
    learn()
    block = policy_block(CUSTOMER) | {"public_key": "-----BEGIN PUBLIC KEY-----"}
    body = delivery(secrets_update(CUSTOMER, 2, policy=block))
    assert receiver.post(PATH, body).status == 202
    assert receiver.post(of(), app_event()).status == 202


def test_the_previous_key_has_its_grace(receiver: Running, learn: Callable[..., None]):
    """After a rotation both are in force."""
    learn()
    assert receiver.post(of(), app_event()).status == 202
    learn(owner="rotated", audit=2)
    assert receiver.post(of(), app_event(owner="rotated")).status == 202
    assert receiver.post(of(), app_event()).status == 202


def test_the_grace_ends(start: Start, receiver: Running, learn: Callable[..., None]):
    """Where no grace is configured the previous key is out of force with its replacement."""
    strict = start(apps=(xurrent_app(previous_key_grace=0.0),))
    learn()
    learn(owner="rotated", audit=2)
    assert strict.post(of(), app_event()).status == 401
    assert strict.post(of(), app_event(owner="rotated")).status == 202


@pytest.mark.parametrize("revoked", ["first", "second"])
def test_a_revoked_key_is_out_at_once(
    receiver: Running,
    learn: Callable[..., None],
    apply_all: ApplyAll,
    desk: Desk,
    revoked: str,
):
    """Within a second, grace or not; the current one takes the one before it along."""
    learn(owner="first")
    learn(owner="second", audit=2)
    assert receiver.post(of(), app_event(owner=revoked)).status == 202
    fingerprint = policy_for("RS256", revoked).fingerprint
    event = Event(type="policy.revoke", kind=EventKind.REVOKED, fingerprint=fingerprint)
    desk.log.append(
        NewEntry(
            delivery=new_delivery_id(instance()),
            instance=instance(),
            at=time.time(),
            source=EntrySource.OPERATOR,
            event=event,
            signer="operator",
            captured=Captured(),
        )
    )
    apply_all()
    assert soon(lambda: receiver.post(of(), app_event(owner=revoked)).status == 401, 1.2)
    kept = {"first": 202, "second": 401}[revoked]
    assert receiver.post(of(), app_event(owner="second")).status == kept
    # What was revoked is not learned again, should it come once more.
    learn(owner=revoked, audit=3)
    assert receiver.post(of(), app_event(owner=revoked)).status == 401


@pytest.fixture
def asked(store: Store) -> Iterator[Callable[[], int]]:
    """How often the store was asked for a customer's policy."""
    name = keys_of(partition_of(instance())).policy + str(instance())
    with store.redis.monitor() as seen:
        count = 0

        def counted() -> int:
            nonlocal count
            store.command("ECHO", "enough")
            while "enough" not in (command := seen.next_command()["command"]):
                count += command == f"GET {name}"
            return count

        yield counted


def test_unknown_accounts_are_remembered_for_a_second(receiver: Running, asked: Callable[[], int]):
    """Twenty deliveries of an account that nobody knows cause one look-up."""
    for _ in range(20):
        assert receiver.post(of(), app_event()).status == 401
    assert asked() in (1, 2)


def test_bad_signatures_cause_few_look_ups(
    receiver: Running, learn: Callable[..., None], asked: Callable[[], int]
):
    """A flood of bad tokens for a known account asks at most twice a second: one ordinary look-up
    and one for the failure."""
    learn()
    started = time.monotonic()
    for _ in range(60):
        assert receiver.post(of(), app_event(owner="stranger")).status == 401
    assert asked() <= 2 * (1 + int(time.monotonic() - started))


def test_a_new_key_is_found_by_the_first_failure(receiver: Running, learn: Callable[..., None]):
    """Right after a rotation a delivery signed with the new key needs no second try."""
    learn()
    assert receiver.post(of(), app_event()).status == 202
    learn(owner="rotated", audit=2)
    assert receiver.post(of(), app_event(owner="rotated")).status == 202


@pytest.fixture
def own_store(
    start: Start, make_desk: MakeDesk
) -> Iterator[tuple[Running, Callable[[signal.Signals], None]]]:
    """A receiver on a store of its own, and how to send that store a signal."""
    with contextlib.ExitStack() as opened:
        own = opened.enter_context(server())
        running = start(store=StoreSection(url=own.url))
        yield running, lambda number: os.kill(own.pid, number)


def test_a_key_that_cannot_be_looked_up_is_no_refusal(
    own_store: tuple[Running, Callable[[signal.Signals], None]],
):
    """503 while the store hangs or is gone, never 401: for known and unknown accounts."""
    receiver, send = own_store
    assert receiver.post(of(), app_event()).status == 401
    time.sleep(1.0)
    send(signal.SIGSTOP)
    assert receiver.post(of(), app_event()).status == 503
    send(signal.SIGCONT)
    assert soon(lambda: receiver.post(of(), app_event()).status == 401)
    send(signal.SIGKILL)
    time.sleep(1.0)
    answer = receiver.post(of(), app_event())
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
