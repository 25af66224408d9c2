"""Any order: what is said of an instance, in every order, and reads of it in between."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from innkeeper.lifecycle.events import DeliveryId, Event, InstanceKey
from innkeeper.lifecycle.facts import Digest
from innkeeper.operations.changing import wish
from innkeeper.operations.desk import Desk
from innkeeper.store.outbox import LaneKind
from tests.faults.conftest import LOAD
from tests.faults.customers import DOMAIN, NOTES, Message
from tests.faults.history import OPERATES, History
from tests.faults.judging import judge
from tests.faults.load import Load
from tests.faults.shown import TOKEN, Shown, desk_of, showing
from tests.faults.troubled import send
from tests.lifecycle.reference import Model, fold_sorted
from tests.processes import soon
from tests.system.marketplaces import Account, Offering, rsa_key, xurrent_app

ORDERS = 6 if LOAD == 1 else 40
"""How many orders of each history are tried; with 40, three seeds in a row try all 120."""
SENDERS = 8
READS = Offering(
    provider=Account(name="reef", domain=DOMAIN, key=rsa_key("reef")), reference="reads"
)
"""The offering whose instances can be read."""
READ = "read"
Step = Message | str


class Told(NamedTuple):
    """What is said of an instance, in one order. `patient`: nothing comes while a read is made."""

    key: InstanceKey
    steps: Sequence[Step]
    patient: bool


def secrets_and_flags(h: History) -> list[Step]:
    """Suspended and back, with a secret and a key that replace others."""
    return [
        h.installs(), h.brings("s1", key="k1"), h.says(suspended=True), h.brings("s2", key="k2"),
        h.says(),
    ]  # fmt: skip


def installed_anew(h: History) -> list[Step]:
    """Installed, removed and installed as another object, each with a secret of its own."""
    return [h.installs(), h.brings("s1", key="k1"), h.removes(), h.installs(), h.brings("s2")]


def gone(h: History) -> list[Step]:
    """Removed in the end."""
    return [h.installs(), h.brings("s1"), h.says(disabled=True), h.brings("s2"), h.removes()]


def nothing_but_secrets(h: History) -> list[Step]:
    """Never seen to be installed."""
    return [
        h.brings("s1"), h.brings(client_id="i1"), h.brings("s2", key="k1"),
        h.brings("s3", key="k2"), h.brings(client_id="i2"),
    ]  # fmt: skip


def a_yes_withdrawn(h: History) -> list[Step]:
    """The customer says yes, and no again."""
    return [
        h.installs(enabled_by_customer=False), h.says(), h.brings("s1", key="k1"),
        h.says(enabled_by_customer=False), h.brings("s2"),
    ]  # fmt: skip


def read_between(h: History) -> list[Step]:
    """Read between an installation and a suspension."""
    return [h.installs(), h.brings("s1", key="k1"), READ, h.says(suspended=True), h.brings("s2")]


def read_twice(h: History) -> list[Step]:
    """Read when it is there and when it is disabled."""
    return [h.installs(), READ, h.brings("s1", key="k1"), h.says(disabled=True), READ]


def read_after_it_went(h: History) -> list[Step]:
    """Read when it is there no more."""
    return [h.installs(), h.brings("s1"), h.says(suspended=True), h.removes(), READ]


def read_anew(h: History) -> list[Step]:
    """Read between a removal and an installation anew."""
    return [h.installs(), h.brings("s1"), h.removes(), READ, h.installs()]


TOLD = (secrets_and_flags, installed_anew, gone, nothing_but_secrets, a_yes_withdrawn)
READ_TOO = (read_between, read_twice, read_after_it_went, read_anew)


def test_any_order_ends_as_if_sorted(make_trial, seed):
    """Every order of five events, secrets, keys, removals and reads among them, ends alike, and
    neither a secret nor the one before it is ever lost."""
    with showing(READS.reference) as shown:
        app = xurrent_app(READS.provider, READS.reference)
        trial = make_trial(seed, configuration=app + shown.configuration, SHOWN_TOKEN=TOKEN)
        load = trial.load(customers=0, steps=0)
        with desk_of(trial) as desk, ThreadPoolExecutor(SENDERS) as pool:
            told = list(_orders(seed, shown))
            list(pool.map(partial(_tell, load, desk), told))
            settled = trial.settle(60)
            _keeps_every_secret(desk, load)
        what = f"{ORDERS} orders of each of {len(TOLD + READ_TOO)} histories of five events"
        readable = f"xurrent/{READS.reference}"
        judge(trial, load, fault="11", what=what, settled_seconds=settled, readable=readable)


def _orders(seed: int, shown: Shown) -> Iterator[Told]:
    """An instance for each order of each history; what the API shows is how it ends."""
    orders = list(itertools.permutations(range(5)))
    random.Random(0).shuffle(orders)
    start = seed * ORDERS % len(orders)
    for kind in TOLD + READ_TOO:
        for count, order in enumerate(orders[start : start + ORDERS]):
            customer = f"{kind.__name__.replace('_', '-')}-{count}"
            offering = READS if kind in READ_TOO else NOTES
            history = History(offering, customer, 10 * len(shown.accounts))
            steps = kind(history)
            if offering is READS:
                _show(shown, history, steps)
            key = InstanceKey("xurrent", offering.reference, customer)
            yield Told(key, [steps[place] for place in order], count % 2 == 0)


def _show(shown: Shown, history: History, steps: Sequence[Step]) -> None:
    model = fold_sorted(one.event for one in steps if isinstance(one, Message) and one.event)
    flags = {name: model.flags[name] for name in OPERATES} if model.present else None
    shown.show(history.number, history.customer, flags)


def _tell(load: Load, desk: Desk, told: Told) -> None:
    """Each step once the one before it was taken."""
    for step in told.steps:
        if isinstance(step, Message):
            send(load, step)
            continue
        wished = wish(desk, told.key)
        if told.patient:
            assert soon(partial(_is_read, desk, told.key, wished), 20), told.key


def _is_read(desk: Desk, key: InstanceKey, wished: DeliveryId) -> bool:
    return bool(desk.log.outcome(wished)) and LaneKind.PLATFORM not in desk.outbox.lanes(key)


def _keeps_every_secret(desk: Desk, load: Load) -> None:
    """Of each secret the newest value and the one before it are there, in force or not."""
    stories: dict[str, list[Event]] = {}
    for sent in load.ledger:
        assert sent.message.event
        stories.setdefault(sent.message.instance, []).append(sent.message.event)
    for name, events in stories.items():
        key, model = InstanceKey.parse(name), fold_sorted(events)
        line = desk.register.line(key)
        assert line, name
        held = {
            secret: (slot.current.digest, slot.previous and slot.previous.digest)
            for secret, slot in line.instance.secrets.items()
        }
        assert held == _digests(model, desk.digests.of(key)), name


def _digests(model: Model, digest: Digest) -> dict[str, Any]:
    found = {}
    for name, values in model.secrets.items():
        before = model.previous(name)
        found[name] = (
            digest(name, values[-1][1]),
            None if before is None else digest(name, before),
        )
    return found
