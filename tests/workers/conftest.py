"""What tests of the workers share: facts put into the log, and workers run on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from innkeeper.bells import BellName
from innkeeper.config import Config, FollowUp
from innkeeper.lifecycle.errors import Permanent
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey, Mark
from innkeeper.operations.desk import Desk
from innkeeper.store.connection import Store
from innkeeper.store.entry import Captured, NewEntry, new_delivery_id
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import LaneKind, WorkState
from innkeeper.store.partitions import partition_of
from innkeeper_workers.apply import Applying
from innkeeper_workers.perform import task_of
from innkeeper_workers.performing import Performing
from tests.conftest import MakeDesk
from tests.lifecycle.telling import KEY, SUSPENDED, brings, signing, states
from tests.workers import calls

if TYPE_CHECKING:
    from tests.workers.shores import Shore

PARTITION = partition_of(KEY)


class Inn:
    """A desk, and the workers on it, step by step."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def deliver(self, event: Event, key: InstanceKey = KEY, **more: Any) -> DeliveryId:
        """Put a fact into the log, as a receiver does."""
        given: dict[str, Any] = {
            "delivery": new_delivery_id(key),
            "at": time.time(),
            "signer": "key",
            "captured": Captured(body=b"{}"),
        }
        entry = NewEntry(instance=key, event=event, **(given | more))
        return self.desk.log.append(entry).delivery

    def apply(self) -> int:
        """Fold all that waits; how many batches that were."""
        applying, batches = Applying(self.desk), 0
        while applying.look():
            batches += 1
        return batches

    def tell(self, *events: Event, key: InstanceKey = KEY) -> list[DeliveryId]:
        """Deliver and apply, one after the other."""
        delivered = []
        for event in events:
            delivered.append(self.deliver(event, key))
            self.apply()
        return delivered

    def perform(self) -> int:
        """Do whatever is due; how many pieces of work that were."""
        performing, done = Performing(self.desk, BellName.PERFORM, task_of), 0
        while performing.look():
            done += 1
        return done

    def names(self, key: InstanceKey = KEY) -> list[str]:
        """What happened to an instance, by name."""
        return [str(one.name) for one in self.desk.register.transitions(key)]

    def works(self, key: InstanceKey = KEY) -> list[WorkState]:
        """All that was ever set off for an instance, in that order."""
        register = self.desk.register
        history = [*register.transitions(key), *register.notices(key)]
        ids = [id_ for one in history for id_ in one.follow_ups.values()]
        return list(self.desk.outbox.states(key, ids).values())

    def due_in(self, kind: LaneKind = LaneKind.LIFECYCLE, key: InstanceKey = KEY) -> float | None:
        """Seconds until a lane is due; None where it never is."""
        due = self.desk.store.command("ZSCORE", *self._due(kind, key))
        return None if due is None else float(due) / 1000 - time.time()

    def hurry(self, kind: LaneKind = LaneKind.LIFECYCLE, key: InstanceKey = KEY) -> None:
        """Let the time pass for which a lane waits, or the lease of who holds it."""
        due, lane = self._due(kind, key)
        self.desk.store.command("ZADD", due, "XX", 1, lane)

    def _due(self, kind: LaneKind, key: InstanceKey) -> tuple[str, str]:
        bell = BellName.MARKETPLACES if kind is LaneKind.PLATFORM else BellName.PERFORM
        return keys_of(partition_of(key)).due + bell, f"{kind}|{key}"


def follow_up(function: str = "record", *on: str, **more: Any) -> FollowUp:
    """A follow-up that calls one of `tests.workers.calls`."""
    given: dict[str, Any] = {
        "name": function,
        "on": on or ("enabled", "suspended", "resumed", "disabled"),
        "call": f"tests.workers.calls:{function}",
        "timeout": 5.0,
    }
    return FollowUp(**(given | more))


MakeInn = Callable[..., Inn]


@pytest.fixture
def make_inn(make_desk: MakeDesk, tmp_path: Path) -> MakeInn:
    """Makes an inn with these follow-ups, and changes of the configuration."""
    calls.seen.clear()
    calls.raised.clear()

    def make(*follow_ups: FollowUp, **more: Any) -> Inn:
        return Inn(make_desk(Config(data=tmp_path, follow_ups=follow_ups, **more)))

    return make


@pytest.fixture
def inn(make_inn: MakeInn) -> Inn:
    """An inn with one follow-up that records its calls."""
    return make_inn(follow_up())


class House(NamedTuple):
    """An inn with something of everything in one partition, and the ids of what tests spoil."""

    inn: Inn
    store: Store
    first: DeliveryId
    dead: DeliveryId
    pending: DeliveryId
    done: str
    blocking: str


@pytest.fixture
def house(make_inn: MakeInn) -> House:
    """Folded, dead and pending entries, secrets, a policy, work that is done, dead and waiting."""
    inn = make_inn(
        follow_up("record", "installed", "app_event"),
        follow_up("fail", "enabled", "suspended", on_failure="block"),
    )
    event = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"n": 1})
    first, *_ = inn.tell(states(1), event, brings(2, {"a": "a1"}, signing("k1")))
    inn.deliver(Event(type="?", kind=EventKind.OTHER), mark=Mark.UNDECODABLE)
    inn.tell(states(3, SUSPENDED))
    calls.raised.append(Permanent("no"))
    inn.perform()
    (dead,) = (one.id for one in inn.desk.dead_letters.newest(9) if one.name == "entry")
    (blocking,) = (one.work for one in inn.desk.dead_letters.newest(9) if one.work)
    done = inn.works()[0].work.id
    pending = inn.deliver(states(4))
    return House(inn, inn.desk.store, first, DeliveryId(dead), pending, done, blocking or "")


@pytest.fixture
def shore() -> Iterator[Shore]:
    """The marketplaces, empty."""
    from tests.workers.shores import shores  # which itself needs what stands above

    with shores() as running:
        yield running
