"""What was proven is kept as it came, and folded: through the real store, whatever it says."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from innkeeper.lifecycle.errors import Malformed, Rejected
from innkeeper.lifecycle.events import DeliveryId, Event, EventKind, InstanceKey
from innkeeper.operations.deliveries import delivery_document, find_delivery
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import DEFAULT_FIELDS, instance_document
from innkeeper.operations.explain import explain
from innkeeper.platforms.admission import Request
from innkeeper.store.entry import Captured, NewEntry, new_delivery_id
from tests.deliveries import BASIC, delivery, rebilly_app, xurrent_app
from tests.fuzz.arriving import bodies, data, queries
from tests.fuzz.effort import effort
from tests.fuzz.inns import inn_on
from tests.fuzz.words import has_surrogates, header_texts, headers, objects, values
from tests.inn import Inn
from tests.keys import policy_for

CUSTOMER = InstanceKey("xurrent", "tides", "lighthouse")


@pytest.fixture(scope="module")
def inn(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inn]:
    """An inn with an app on each marketplace that sends anything, on the empty store."""
    apps = (xurrent_app(policy=policy_for("ES256")), rebilly_app())
    with inn_on(valkey_url, tmp_path_factory.mktemp("fuzz"), apps=apps) as inn:
        yield inn


def settled(desk: Desk, ids: list[DeliveryId]) -> list[str]:
    """What became of deliveries; asking for each in full is part of it."""
    found = [find_delivery(desk, each) for each in ids]
    outcomes = []
    for entry in found:
        assert entry is not None
        delivery_document(desk, entry)
        if not entry.instance.is_pseudo and (line := desk.register.line(entry.instance)):
            instance_document(line, (*DEFAULT_FIELDS, "facts"))
            explain(desk, entry.instance)
        outcomes.append(desk.log.outcome(entry.delivery))
    return outcomes


@effort(60)
@given(st.lists(data, min_size=1, max_size=4), queries, headers)
def test_whatever_the_provider_signs_is_folded(inn, said, query, stated):
    """Nothing that was taken stays waiting, and only what is not understood is dead."""
    ids = []
    for each in said:
        body = delivery(each, algorithm="ES256")
        request = Request(platform="xurrent", app="tides", headers=tuple(stated), body=body)
        try:
            ids.append(inn.post(request))
        except (Rejected, Malformed):
            continue
    inn.apply()
    entries = [inn.desk.log.find(each) for each in ids]
    for entry, outcome in zip(entries, settled(inn.desk, ids), strict=True):
        assert entry is not None
        assert outcome
        assert (outcome == "dead") == (entry.mark == "undecodable")


@effort(40)
@given(st.lists(bodies, min_size=1, max_size=4), queries)
def test_whatever_bears_the_credential_is_folded(inn, said, query):
    """The same of what Rebilly's hook takes."""
    ids = []
    for body in said:
        request = Request(platform="rebilly", app="desk", query=query, headers=tuple(BASIC.items()),
                          body=body)  # fmt: skip
        try:
            ids.append(inn.post(request))
        except (Rejected, Malformed):
            continue
    inn.apply()
    assert all(settled(inn.desk, ids))


@effort(60)
@given(
    st.binary(max_size=200), headers, header_texts, objects.filter(lambda one: not _odd(one)),
    values.filter(lambda one: not _odd(one)), st.text(max_size=40),
)  # fmt: skip
def test_an_entry_reads_back(inn, body, stated, query, secrets, payload, text):
    """The exact bytes, headers and query, and the event; sent again, it is the same one."""
    event = Event(
        type=text, kind=EventKind.APP_EVENT, secrets=secrets, payload=payload, notes=(text,),
        object_id=text, customer_name=text,
    )  # fmt: skip
    captured = Captured(app="tides", query=query, headers=tuple(stated), body=body)
    now = time.time()
    entry = NewEntry(
        delivery=new_delivery_id(CUSTOMER, now=now), instance=CUSTOMER, at=now, event=event,
        signer="key", captured=captured,
    )  # fmt: skip
    appended = inn.desk.log.append(entry)
    assert not appended.duplicate
    found = inn.desk.log.find(entry.delivery)
    assert found is not None
    assert found.event(inn.desk.ring) == event
    assert inn.desk.log.captured(found) == captured
    assert (found.instance, found.size) == (CUSTOMER, len(body))
    assert inn.desk.log.append(replace(entry, at=now + 1)) == appended


def _odd(document: object) -> bool:
    """Whether no JSON holds it as it is."""
    return has_surrogates(document) or any(word in repr(document) for word in ("nan", "inf"))
