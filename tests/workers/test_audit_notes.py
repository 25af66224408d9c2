"""The audit against receivers' own notes of their 202s: what is nowhere is lost, and told."""

from __future__ import annotations

import threading
import time

import pytest

from innkeeper.config import RetentionSection
from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.operations import findings
from innkeeper.operations.accepted import Note, Notes
from innkeeper.operations.audit import Audit
from innkeeper.operations.forgetting import forget
from innkeeper.spool import Spool
from innkeeper.store.entry import new_delivery_id
from innkeeper.store.keys import keys_of
from innkeeper.store.log import prepare, resolving_commands
from innkeeper_workers.retention import Retention
from tests.lifecycle.telling import KEY, SUSPENDED, removes, states
from tests.store.making import new_entry
from tests.workers.conftest import PARTITION, House, Inn, MakeInn

KEYS = keys_of(PARTITION)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else writes here: what seems wrong need not be given time."""
    monkeypatch.setattr(findings, "_PAUSE_SECONDS", 0.0)


def note(inn: Inn, *deliveries: DeliveryId, key: InstanceKey = KEY, at: float = 0.0) -> None:
    """Note deliveries as accepted, as a receiver does."""
    notes = Notes(inn.desk.config.data)
    notes.write(Note(delivery=d, instance=str(key), at=at or time.time()) for d in deliveries)
    notes.close()


def lost(inn: Inn) -> list[tuple[str, int, list[str], str | None, bool]]:
    """What the audit tells as lost."""
    audit = Audit(inn.desk)
    assert list(audit.findings(lambda _: None)) == []
    return [(o.instance, o.deliveries, o.ids, o.status, o.secrets_missing) for o in audit.lost]


def test_what_was_accepted_is_there(house: House):
    """In the log, folded or not, and trimmed entries too."""
    inn = house.inn
    note(inn, house.first, house.pending, house.dead)
    assert lost(inn) == []


def test_what_was_trimmed_is_not_lost(make_inn: MakeInn):
    """Its claim still tells that it was there."""
    inn = make_inn(retention=RetentionSection(deliveries=0.0))
    note(inn, *inn.tell(states(1), states(2, SUSPENDED)))
    time.sleep(0.003)
    assert Retention(inn.desk).run() == 2
    assert lost(inn) == []


def test_what_is_nowhere_is_lost(house: House):
    """Customer by customer, with what the register knows of each now."""
    inn, other = house.inn, InstanceKey("market", "tides", "stranger")
    gone, strange = new_delivery_id(KEY), [new_delivery_id(other) for _ in range(25)]
    note(inn, house.first, gone)
    note(inn, *strange, key=other)
    assert lost(inn) == [
        (str(KEY), 1, [gone], "suspended", False),
        (str(other), 25, strange[:20], None, True),
    ]


def test_claims_without_an_entry_are_a_lost_delivery(house: House):
    """The claim alone does not make up for the entry."""
    inn, store = house.inn, house.store
    note(inn, house.pending)
    place = store.command("XREVRANGE", KEYS.log, "+", "-", "COUNT", 1)[0][0]
    store.command("XDEL", KEYS.log, place)
    audit = Audit(inn.desk)
    assert list(audit.findings(lambda _: None))
    assert [one.ids for one in audit.lost] == [[house.pending]]


def test_old_notes_prove_nothing(house: House):
    """Claims live no longer than that."""
    note(house.inn, new_delivery_id(KEY), at=time.time() - 15 * 86400)
    assert lost(house.inn) == []


def test_what_waits_in_the_spool_is_not_lost(house: House):
    """It is on this host's disk."""
    inn = house.inn
    entry = new_entry(key=KEY)
    spool = Spool(inn.desk.config.data, most_bytes=1 << 30)
    spool.put([prepare(entry, inn.desk.ring)], now=time.time())
    note(inn, entry.delivery)
    assert lost(inn) == []
    spool.drop(spool.oldest(5, now=time.time()))
    spool.close()
    assert [one[2] for one in lost(inn)] == [[entry.delivery]]


def test_what_turned_out_to_be_a_duplicate_leads_to_the_first(house: House):
    """As long as the first is there."""
    inn = house.inn
    repeated = prepare(new_entry(key=KEY), inn.desk.ring)
    note(inn, repeated.delivery)
    inn.desk.store.batch(resolving_commands(repeated, house.first, now=time.time()))
    assert lost(inn) == []
    found = inn.desk.log.find(repeated.delivery)
    assert found is not None
    assert found.delivery == house.first
    nobody = prepare(new_entry(key=KEY), inn.desk.ring)
    note(inn, nobody.delivery)
    missing = new_delivery_id(KEY)
    inn.desk.store.batch(resolving_commands(nobody, missing, now=time.time()))
    assert [one[2] for one in lost(inn)] == [[nobody.delivery]]


def test_what_was_forgotten_is_not_lost(inn: Inn):
    """Only what came in afterwards is missed."""
    note(inn, *inn.tell(states(1), removes(2)))
    applying = threading.Timer(0.1, inn.apply)
    applying.start()
    forget(inn.desk, KEY)
    applying.join()
    assert lost(inn) == []
    later = new_delivery_id(KEY)
    note(inn, later)
    assert [one[2] for one in lost(inn)] == [[later]]


def test_a_wiped_store_loses_what_was_in_it(house: House):
    """The list of what cannot come back."""
    note(house.inn, house.first, house.dead)
    house.store.command("FLUSHALL")
    assert lost(house.inn) == [(str(KEY), 2, sorted([house.first, house.dead]), None, True)]
