"""Xandr, which tells nothing: its installations are found by reading the list, pass by pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.pass_times import due_apps
from innkeeper.operations.reading import append_found, read_back
from innkeeper.platforms.xandr.reading import found
from innkeeper.store.entry import EntrySource
from tests.workers.conftest import MakeInn, follow_up
from tests.workers.shores import Reader, Shore, installation, on_xandr

KEY = InstanceKey("xandr", "board", "member:238")
MEMBER = "member:238"
MakeReader = Callable[..., Reader]


@pytest.fixture
def make(make_inn: MakeInn) -> MakeReader:
    """Makes an inn with this app, and follow-ups of an installation's life."""
    wanted = follow_up("record", "installed", "enabled", "updated", "removed", name="all")
    return lambda *apps: Reader(make_inn(wanted, apps=apps).desk)


def test_the_life_of_an_installation(make: MakeReader, shore: Shore) -> None:
    """Installed, accepted, changed, installed anew and removed, each seen by a pass."""
    app = on_xandr(shore)
    reader = make(app)
    reader.go_through(app)
    shore.installations[1] = installation(1, 238)
    assert reader.go_through(app).missed_installs == 1
    assert (reader.status(app, MEMBER), reader.happened(app, MEMBER)) == ("pending", ["installed"])
    shore.installations[1] = installation(1, 238, accepted=True)
    reader.go_through(app)
    assert reader.status(app, MEMBER) == "enabled"
    shore.installations[1] |= {"addendum": "more"}
    assert reader.go_through(app).differing == 1
    shore.installations = {2: installation(2, 238, accepted=True)}
    reader.go_through(app)
    shore.installations = {}
    assert reader.go_through(app).missed_removals == 1
    assert reader.status(app, MEMBER) == "removed"
    assert reader.happened(app, MEMBER) == [
        "installed", "enabled", "updated", "removed", "installed", "enabled", "removed",
    ]  # fmt: skip
    assert len(reader.works(KEY)) == 7


def test_what_differs_costs_no_further_call(make: MakeReader, shore: Shore) -> None:
    """The pass's number orders what it saw: it is the fact itself."""
    app = on_xandr(shore)
    reader = make(app)
    reader.go_through(app)
    shore.installations.update({n: installation(n, n, accepted=True) for n in range(1, 120)})
    shore.forget()
    assert reader.go_through(app).missed_installs == 119
    assert shore.asked.count("/app-installation") == 2


def test_the_first_pass_adopts(make: MakeReader, shore: Shore) -> None:
    """Who has installed it before is adopted, as a member or as a bidder."""
    app = on_xandr(shore)
    reader = make(app)
    shore.installations[1] = installation(1, 238, accepted=True)
    shore.installations[2] = installation(2, 226) | {"subscriber_entity_type": "bidder"}
    assert reader.go_through(app).adopted == 2
    assert (reader.status(app, MEMBER), reader.happened(app, MEMBER)) == ("enabled", ["adopted"])
    assert reader.status(app, "bidder:226") == "pending"


def test_an_older_pass_never_undoes_a_later_one(make: MakeReader, shore: Shore) -> None:
    """What a pass saw that was overtaken on its way into the log is stale."""
    app = on_xandr(shore)
    reader = make(app)
    for _ in range(3):
        reader.go_through(app)
    shore.installations[1] = installation(1, 238, accepted=True)
    reader.go_through(app)
    old = found(installation(1, 238, accepted=False), app, 2)
    assert old is not None
    append_found(reader.desk, KEY, old.event, EntrySource.POLL)
    reader.apply()
    assert reader.status(app, MEMBER) == "enabled"
    assert reader.happened(app, MEMBER) == ["installed", "enabled"]


def test_what_a_single_read_has_set_is_settled_by_another(make: MakeReader, shore: Shore) -> None:
    """A pass that began before it may have seen less: the difference waits for a read."""
    app = on_xandr(shore)
    reader = make(app)
    shore.installations[1] = installation(1, 238)
    reader.go_through(app)
    shore.installations[1] = installation(1, 238, accepted=True)
    read_back(reader.desk, app, KEY)
    reader.apply()
    assert reader.status(app, MEMBER) == "enabled"
    shore.installations[1] = installation(1, 238, accepted=False)
    reader.go_through(app)
    assert reader.status(app, MEMBER) == "enabled"
    reader.confirm()
    line = reader.desk.register.line(KEY)
    assert line is not None
    assert (line.instance.status, line.instance.confirmed) == ("disabled", True)


def test_it_is_due_every_poll(make: MakeReader, shore: Shore) -> None:
    """As often as is configured, from a pass's beginning on."""
    app = on_xandr(shore, poll=300.0)
    reader = make(app)
    assert due_apps(reader.desk) == [app]
    reader.go_through(app)
    assert due_apps(reader.desk) == []
