"""Confirming: doubts are settled by reading back, and a read that was overtaken is done again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from innkeeper.config import NoCredential
from innkeeper.lifecycle.events import Event, EventKind, Flags, InstanceKey
from innkeeper.store.erasing import Erasing
from innkeeper.store.outbox import LaneKind
from innkeeper.store.partitions import partition_of
from tests.lifecycle.telling import order
from tests.standing import newest
from tests.workers.conftest import MakeInn, follow_up
from tests.workers.shores import (
    Reader,
    Shore,
    desk_of,
    down,
    note,
    on_rebilly,
    on_xurrent,
)

ENABLED = follow_up("record", "enabled", "installed", name="all")
ONE = "/v1/app_instances/7"
DESK = "/organizations/org_owner/applications/app_desk/instances/org_7"


MakeReader = Callable[..., Reader]


@pytest.fixture
def make(make_inn: MakeInn) -> MakeReader:
    """Makes an inn with these apps, whose workers read back."""
    return lambda *apps, **more: Reader(make_inn(ENABLED, apps=apps, **more).desk)


def said(audit: int | None = None, object_id: str = "7", **flags: Any) -> Event:
    """A delivery from Xurrent about an instance that operates, unless it says otherwise."""
    stated: dict[str, Any] = {"disabled": False, "suspended": False, "enabled_by_customer": True}
    return Event(
        type="app_instance.update", kind=EventKind.STATED, order=order(audit),
        object_id=object_id, offering="tide-tables", confirmable=True,
        flags=Flags(**(stated | flags), phase=None),
    )  # fmt: skip


def gone(audit: int | None, object_id: str = "7") -> Event:
    """A delivery from Xurrent that an instance is deleted."""
    return Event(
        type="app_instance.delete", kind=EventKind.REMOVED, order=order(audit),
        object_id=object_id, confirmable=True,
    )  # fmt: skip


def hint(disabled: bool = False, *, creates: bool = True) -> Event:
    """A delivery from Rebilly."""
    flags = Flags(disabled=disabled, suspended=None, enabled_by_customer=None, phase=None)
    return Event(
        type="application-instance-enabled", kind=EventKind.STATED, hint=True, creates=creates,
        confirmable=True, offering="app_desk", flags=flags,
    )  # fmt: skip


def test_a_webhook_overtakes_a_slow_read(make: MakeReader, shore: Shore) -> None:
    """The webhook's state stays, the read counts for nothing and is done again."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.notes[7] = note(7, "acme")
    reader.said(app, "acme", said(10))
    reader.said(app, "acme", said(None, suspended=True))

    def webhook() -> None:
        shore.notes[7] = note(7, "acme", disabled=True)
        reader.said(app, "acme", said(11, disabled=True))

    shore.slowly(ONE, webhook)
    assert reader.confirm(1) == 1
    assert reader.status(app, "acme") == "disabled"
    key = InstanceKey("xurrent", app.name, "acme")
    assert newest(reader.desk.log, partition_of(key))[0].outcome == "overtaken"
    for _ in range(3):
        reader.hurry(LaneKind.PLATFORM, key)
        reader.confirm()
    assert shore.asked.count(ONE) == 2
    assert reader.status(app, "acme") == "disabled"
    # The API names the customer, which no delivery did.
    assert reader.happened(app, "acme") == ["installed", "enabled", "disabled", "updated"]
    line = reader.desk.register.line(key)
    assert line is not None
    assert line.instance.confirmed


@pytest.mark.parametrize("applied", [True, False])
def test_ten_hints_cost_at_most_two_reads(make: MakeReader, shore: Shore, applied: bool) -> None:
    """Whether or not apply keeps pace with the reads."""
    app = on_rebilly(shore)
    reader = make(app)
    shore.desks["org_7"] = desk_of("org_7")
    for _ in range(10):
        reader.said(app, "org_7", hint())
    if applied:
        reader.confirm()
    else:
        reader.confirm_unapplied()
        reader.apply()
        reader.confirm()
    assert shore.asked.count(DESK) <= 2
    assert reader.happened(app, "org_7") == ["installed", "enabled"]


def test_a_hint_during_a_read_is_not_lost(make: MakeReader, shore: Shore) -> None:
    """It raises a wish that the read under way does not settle."""
    app = on_rebilly(shore)
    reader = make(app)
    shore.desks["org_7"] = desk_of("org_7")
    reader.said(app, "org_7", hint())

    def another() -> None:
        shore.desks["org_7"] = desk_of("org_7", "disabled", "2026-03-01T11:00:00Z")
        reader.said(app, "org_7", hint(disabled=True))

    shore.slowly(DESK, another)
    reader.confirm()
    assert shore.asked.count(DESK) == 2
    assert reader.status(app, "org_7") == "disabled"


def test_a_hint_waits_and_is_confirmed(make: MakeReader, shore: Shore) -> None:
    """Until then it is pending and sets off nothing; then installed and enabled, once."""
    app = on_rebilly(shore)
    reader = make(app)
    shore.desks["org_7"] = desk_of("org_7")
    reader.said(app, "org_7", hint())
    assert (reader.status(app, "org_7"), reader.happened(app, "org_7")) == ("pending", [])
    reader.confirm()
    assert reader.status(app, "org_7") == "enabled"
    reader.said(app, "org_7", hint())
    reader.confirm()
    assert reader.happened(app, "org_7") == ["installed", "enabled"]
    assert len(reader.works(InstanceKey("rebilly", "desk", "org_7"))) == 2


def test_who_was_forgotten_and_comes_back_is_confirmed(make: MakeReader, shore: Shore) -> None:
    """A read of the one who was there before, purged with the rest, is not waited for."""
    app, key = on_rebilly(shore), InstanceKey("rebilly", "desk", "org_7")
    reader = make(app)
    shore.desks["org_7"] = desk_of("org_7")
    reader.said(app, "org_7", hint())
    reader.confirm()
    forgotten = Event(type="instance.forgotten", kind=EventKind.FORGOTTEN)
    reader.said(app, "org_7", forgotten)
    desk = reader.desk
    (entry,) = newest(desk.log, partition_of(key), limit=1)
    Erasing(desk.store, desk.log, desk.digests, key).entries(entry.stream_id, at=datetime.now(UTC))
    reader.said(app, "org_7", hint())
    reader.confirm()
    assert reader.status(app, "org_7") == "enabled"


def test_none_found_after_disabled_is_no_removal(make: MakeReader, shore: Shore) -> None:
    """A disabled instance may well answer 404."""
    app = on_rebilly(shore)
    reader = make(app)
    shore.desks["org_7"] = desk_of("org_7")
    reader.said(app, "org_7", hint())
    reader.confirm()
    del shore.desks["org_7"]
    reader.said(app, "org_7", hint(disabled=True))
    reader.confirm()
    assert reader.status(app, "org_7") == "disabled"
    assert reader.happened(app, "org_7") == ["installed", "enabled", "disabled"]


def test_an_unproven_hint_creates_only_what_the_api_shows(make: MakeReader, shore: Shore) -> None:
    """Of an organization that the API does not know, the register knows nothing either."""
    app = on_rebilly(shore, credential=NoCredential())
    reader = make(app)
    reader.said(app, "org_7", hint(creates=False))
    reader.confirm()
    assert DESK in shore.asked
    assert reader.status(app, "org_7") is None
    shore.desks["org_7"] = desk_of("org_7")
    reader.said(app, "org_7", hint(creates=False))
    reader.confirm()
    assert reader.happened(app, "org_7") == ["installed", "enabled"]


def test_after_a_read_a_delivery_waits_for_another(make: MakeReader, shore: Shore) -> None:
    """Nothing tells whether an audit line is newer than what a read has set."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.notes[7] = note(7, "acme")
    reader.go_through(app)
    shore.forget()
    reader.said(app, "acme", said(11, suspended=True))
    assert reader.status(app, "acme") == "enabled"
    shore.notes[7] = note(7, "acme", suspended=True)
    reader.confirm()
    assert (shore.asked.count(ONE), reader.status(app, "acme")) == (1, "suspended")


def test_one_who_installs_anew_is_found_under_the_new_id(make: MakeReader, shore: Shore) -> None:
    """Though what was known is another object, which is gone."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.notes[7] = note(7, "acme")
    reader.go_through(app)
    del shore.notes[7]
    reader.said(app, "acme", gone(20))
    reader.confirm()
    assert reader.status(app, "acme") == "removed"
    shore.notes[9] = note(9, "acme")
    reader.said(app, "acme", said(21, object_id="9"))
    reader.confirm()
    assert reader.happened(app, "acme") == ["adopted", "removed", "installed", "enabled"]


def test_a_marketplace_that_is_away_holds_up_nobody_else(make: MakeReader, shore: Shore) -> None:
    """One call finds out; the other app's hint is confirmed, and these wait unconfirmed."""
    desk, tides = on_rebilly(shore), on_xurrent(shore)
    reader = make(desk, tides)
    shore.notes[7] = note(7, "acme")
    reader.said(tides, "acme", said(None))
    reader.said(tides, "acme", said(None, suspended=True))
    for number in range(20):
        path = f"/organizations/org_owner/applications/app_desk/instances/org_{number}"
        shore.bent[path] = down()
        reader.said(desk, f"org_{number}", hint())
    reader.confirm()
    assert sum(path.startswith("/organizations") for path in shore.asked) == 1
    assert reader.status(tides, "acme") == "enabled"
    waiting = reader.desk.register.line(InstanceKey("rebilly", "desk", "org_3"))
    assert waiting is not None
    assert not waiting.instance.confirmed
    assert reader.desk.dead_letters.count() == 0
