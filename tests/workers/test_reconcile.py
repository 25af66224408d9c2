"""Reconcile: a marketplace's list against the register, pass by pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from innkeeper.config import Removals
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.operations.pass_times import due_apps, health_document
from innkeeper.operations.reconcile import LeaseLost, Pass
from innkeeper.platforms.api_errors import ApiError, Inconsistent
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import LaneKind
from innkeeper.store.partitions import partition_of
from innkeeper_workers.reconciling import Reconciling
from innkeeper_workers.sweep import sweep
from tests.lifecycle.telling import order
from tests.platforms.apis import html, said
from tests.workers.conftest import MakeInn, follow_up
from tests.workers.shores import (
    PAGE,
    Reader,
    Shore,
    desk_of,
    down,
    note,
    on_rebilly,
    on_xurrent,
)

LIST = "/v1/app_instances"
FOLLOW_UPS = (
    follow_up("record", "installed", "enabled", "disabled", "removed", name="others"),
    follow_up("record", "adopted", name="welcome"),
)
MakeReader = Callable[..., Reader]


@pytest.fixture
def make(make_inn: MakeInn) -> MakeReader:
    """Makes an inn with these apps, whose workers read back."""
    return lambda *apps, **more: Reader(make_inn(*FOLLOW_UPS, apps=apps, **more).desk)


def filled(shore: Shore, count: int) -> None:
    """Customers `c0` and so on, each with an instance."""
    shore.notes.clear()
    shore.notes.update({n + 1: note(n + 1, f"c{n}") for n in range(count)})


def key(account: str, platform: str = "xurrent", app: str = "tides") -> InstanceKey:
    """An instance of the app on Xurrent, unless it says otherwise."""
    return InstanceKey(platform, app, account)


def lease(reader: Reader) -> str:
    """The lease of the passes over `tides`."""
    pseudo = InstanceKey.pseudo("xurrent", "tides")
    return f"{keys_of(partition_of(pseudo)).passes}{pseudo}:lease"


def work_names(reader: Reader, account: str) -> list[str]:
    """The follow-ups that were set off for a customer."""
    return [one.work.name for one in reader.works(key(account))]


def test_the_first_pass_adopts(make: MakeReader, shore: Shore) -> None:
    """Whoever is there is adopted, which sets off only what asks for it; then nothing differs."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 3)
    shore.notes[2]["suspended"] = True
    drift = reader.go_through(app)
    assert (drift.seen, drift.adopted, drift.missed_installs) == (3, 3, 0)
    assert [reader.status(app, f"c{n}") for n in range(3)] == ["enabled", "suspended", "enabled"]
    assert reader.happened(app, "c0") == ["adopted"]
    assert work_names(reader, "c0") == ["welcome"]
    again = reader.go_through(app)
    assert (again.seen, again.adopted, again.differing) == (3, 0, 0)
    assert reader.happened(app, "c0") == ["adopted"]
    assert reader.state(app).adopted


def test_later_passes_mend_by_reading_each_back(make: MakeReader, shore: Shore) -> None:
    """A missed install, a missed removal and another flag, each under its own id."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 3)
    reader.go_through(app)
    shore.notes[1]["disabled"] = True
    del shore.notes[2]
    shore.notes[9] = note(9, "late")
    shore.forget()
    drift = reader.go_through(app)
    assert (drift.differing, drift.missed_removals, drift.missed_installs) == (1, 1, 1)
    assert shore.asked.count(LIST) == 2  # the pass, and whether the list is there beside a 404
    assert sorted(path for path in shore.asked if path != LIST) == [
        f"{LIST}/{n}" for n in (1, 2, 9)
    ]
    assert [reader.status(app, name) for name in ("c0", "c1", "late")] == [
        "disabled", "removed", "enabled",
    ]  # fmt: skip
    assert reader.happened(app, "late") == ["installed", "enabled"]
    assert work_names(reader, "late") == ["others", "others"]
    assert reader.go_through(app).differing == 0


def test_a_read_that_says_otherwise_than_the_list_counts(make: MakeReader, shore: Shore) -> None:
    """A list may lag behind: nobody is removed whom the marketplace still shows."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 2)
    reader.go_through(app)
    shore.bent[LIST] = said([shore.notes[1]], "200 OK", "X-Pagination-Total-Entries: 1")
    assert reader.go_through(app).missed_removals == 1
    assert reader.status(app, "c1") == "enabled"


def test_one_installed_anew_is_read_as_what_is_listed(make: MakeReader, shore: Shore) -> None:
    """Removed and installed while nobody told us: both are seen."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 1)
    reader.go_through(app)
    shore.notes = {5: note(5, "c0")}
    reader.go_through(app)
    assert reader.happened(app, "c0") == ["adopted", "removed", "installed", "enabled"]


def test_a_deletion_told_during_the_first_pass_stays(make: MakeReader, shore: Shore) -> None:
    """The page that still shows the customer was asked for before: it is read once more."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 1)

    def deleted() -> None:
        shore.notes.clear()
        event = Event(
            type="app_instance.delete", kind=EventKind.REMOVED, order=order(9), object_id="1"
        )
        reader.said(app, "c0", event)

    shore.slowly(LIST, deleted)
    reader.go_through(app)
    assert (reader.status(app, "c0"), reader.happened(app, "c0")) == ("removed", ["removed"])


def test_an_adoption_that_secrets_overtake_is_made_good(make: MakeReader, shore: Shore) -> None:
    """Though the pass has ended by then, the customer is adopted and not newly installed."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 1)
    event = Event(
        type="app_instance.secrets-update", kind=EventKind.SECRETS, order=order(9), object_id="1",
        secrets={"application.client_id": "id"},
    )  # fmt: skip
    reader.deliver(event, key("c0"))
    reader.go_through(app)
    assert reader.happened(app, "c0") == []
    for _ in range(2):
        reader.confirm()
        reader.hurry(LaneKind.PLATFORM, key("c0"))
    reader.confirm()
    assert reader.happened(app, "c0") == ["adopted"]


@pytest.mark.parametrize("what", ["failed", "short", "inconsistent", "HTML"])
def test_no_removal_from_a_pass_that_is_not_sound(
    make: MakeReader, shore: Shore, what: str
) -> None:
    """It breaks off, says why, and is tried again later; what it missed stays as it is."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 3)
    reader.go_through(app)
    shore.bent[LIST] = {
        "failed": down(),
        "short": said([shore.notes[1]], "200 OK", "X-Pagination-Total-Entries: 3"),
        "inconsistent": said([shore.notes[1]] * 2, "200 OK", "X-Pagination-Total-Entries: 2"),
        "HTML": html(),
    }[what]
    reconciling = Reconciling(reader.desk)
    _make_due(reader)
    while reconciling.look():
        continue
    reader.apply()
    assert [reader.status(app, f"c{n}") for n in range(3)] == ["enabled"] * 3
    state = reader.state(app)
    assert (state.failures, state.number, bool(state.error)) == (1, 2, True)
    assert state.not_before > time.time() + 20
    assert due_apps(reader.desk) == []
    (told,) = health_document(reader.desk, with_errors=True)
    assert (told["state"], told["failures"]) == ("failing", 1)


def test_what_is_listed_counts_though_the_list_is_not_whole(make: MakeReader, shore: Shore) -> None:
    """It is there, whatever else is missing."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.bent[LIST] = said([note(1, "c0")], "200 OK", "X-Pagination-Total-Entries: 2")
    with pytest.raises(Inconsistent):
        reader.go_through(app)
    reader.apply()
    assert reader.status(app, "c0") == "enabled"
    assert not reader.state(app).adopted


class TestHeldRemovals:
    """Too many gone at once are not believed at once."""

    @pytest.fixture
    def app(self, shore: Shore) -> Any:
        """At most a fifth, if at least two."""
        return on_xurrent(shore, removals=Removals(share=0.2, at_least=2, hold=600.0))

    @pytest.fixture
    def reader(self, make: MakeReader, shore: Shore, app: Any) -> Reader:
        """Ten customers, of whom three have vanished."""
        reader = make(app)
        filled(shore, 10)
        reader.go_through(app)
        for number in (1, 2, 3):
            del shore.notes[number]
        return reader

    def test_they_are_held(self, reader: Reader, app: Any) -> None:
        """None is removed, however often the same is seen within the time."""
        for _ in range(2):
            drift = reader.go_through(app)
            assert (drift.held, drift.missed_removals) == (3, 0)
        assert reader.status(app, "c0") == "enabled"
        assert health_document(reader.desk, with_errors=True)[0]["state"] == "held"

    def test_a_later_pass_agrees(self, reader: Reader, app: Any) -> None:
        """Once the time is over, it is believed."""
        reader.go_through(app)
        pseudo = InstanceKey.pseudo("xurrent", "tides")
        state = reader.state(app)
        reader.desk.passes.set(pseudo, replace(state, held_since=time.time() - 601))
        assert reader.go_through(app).missed_removals == 3
        assert reader.status(app, "c0") == "removed"

    def test_they_come_back(self, reader: Reader, shore: Shore, app: Any) -> None:
        """Then nothing is held any more."""
        reader.go_through(app)
        filled(shore, 10)
        assert reader.go_through(app).held == 0
        assert reader.state(app).held_since is None

    def test_an_operator_accepts(self, reader: Reader, app: Any) -> None:
        """At once."""
        reader.go_through(app)
        drift = reader.go_through(app, accept_removals=True)
        assert (drift.held, drift.missed_removals) == (0, 3)

    def test_few_are_believed(self, reader: Reader, shore: Shore, app: Any) -> None:
        """A share as small as that may well leave between two passes."""
        filled(shore, 10)
        for number in (1, 2):
            del shore.notes[number]
        assert reader.go_through(app).missed_removals == 2


def test_what_rebilly_no_longer_lists_is_disabled(make: MakeReader, shore: Shore) -> None:
    """Whether it lists those who are disabled, nobody knows."""
    app = on_rebilly(shore)
    reader = make(app)
    shore.desks.update({"org_1": desk_of("org_1"), "org_2": desk_of("org_2")})
    reader.go_through(app)
    del shore.desks["org_2"]
    assert reader.go_through(app).missed_removals == 1
    assert reader.status(app, "org_2") == "disabled"
    assert reader.go_through(app).missed_removals == 0


def test_who_has_given_no_secrets_is_listed(make: MakeReader, shore: Shore) -> None:
    """From the first pass on, with the time since when nothing has come in."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 2)
    assert set(reader.go_through(app).secrets_missing) == {"xurrent/tides/c0", "xurrent/tides/c1"}
    event = Event(
        type="app_instance.secrets-update", kind=EventKind.SECRETS, order=order(9), object_id="1",
        secrets={"application.client_id": "id"},
    )  # fmt: skip
    reader.said(app, "c0", event)
    drift = reader.go_through(app)
    line = reader.desk.register.line(key("c1"))
    assert line is not None
    assert drift.secrets_missing == {"xurrent/tides/c1": line.updated_at}
    assert drift.secrets_missing_count == 1


def test_a_pass_killed_in_the_middle_begins_again(make: MakeReader, shore: Shore) -> None:
    """Once its lease has run out; as a pass of its own, and whole."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, PAGE + 50)
    steps = Pass(reader.desk, app).steps()
    next(steps)
    assert due_apps(reader.desk) == [app]
    with pytest.raises(LeaseLost):
        Pass(reader.desk, app).run()
    reader.desk.store.command("DEL", lease(reader))
    drift = reader.go_through(app)
    assert (drift.number, drift.seen) == (2, PAGE + 50)
    assert reader.happened(app, "c0") == ["adopted"]
    with pytest.raises(LeaseLost):
        next(steps)
    assert reader.state(app).number == 2
    assert due_apps(reader.desk) == []


def test_two_processes_make_one_pass(make: MakeReader, make_desk: Any, shore: Shore) -> None:
    """The other one lets go of it, and makes that of another app meanwhile."""
    tides, desk = on_xurrent(shore), on_rebilly(shore)
    reader = make(tides, desk)
    filled(shore, 3 * PAGE)
    shore.desks["org_1"] = desk_of("org_1")
    mine, others = Reconciling(reader.desk), Reconciling(make_desk(reader.desk.config))
    next(steps := Pass(reader.desk, tides).steps())
    while others.look():
        continue
    assert reader.state(desk).adopted
    assert not reader.state(tides).adopted
    for _ in steps:
        continue
    while mine.look() or others.look():
        continue
    assert (reader.state(tides).number, reader.state(desk).number) == (1, 1)
    assert shore.asked.count(LIST) == 3


def test_a_pass_that_fails_holds_up_no_other(make: MakeReader, shore: Shore) -> None:
    """The next app's is made, and hints between the pages."""
    tides, desk = on_xurrent(shore), on_rebilly(shore)
    reader = make(tides, desk)
    shore.bent[LIST] = down()
    shore.desks["org_1"] = desk_of("org_1")
    reconciling = Reconciling(reader.desk)
    while reconciling.look():
        continue
    reader.apply()
    assert reader.status(desk, "org_1") == "enabled"
    told = {one["app"]: one["state"] for one in health_document(reader.desk, with_errors=True)}
    assert told == {"tides": "failing", "desk": "ok"}


def test_failures_in_a_row_are_tried_ever_later(make: MakeReader, shore: Shore) -> None:
    """And a rate limit as long as it asks; one sound pass forgets all of it."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.bent[LIST] = down()
    waits = []
    for _ in range(3):
        _look_once(reader)
        waits.append(round(reader.state(app).not_before - time.time()))
        _make_due(reader, keep=True)
    assert waits == [30, 60, 120]
    shore.bent[LIST] = said({}, "429 Too Many Requests", "Retry-After: 77")
    _look_once(reader)
    assert round(reader.state(app).not_before - time.time()) == 77
    _make_due(reader, keep=True)
    del shore.bent[LIST]
    _look_once(reader)
    state = reader.state(app)
    assert (state.failures, state.error, state.not_before) == (0, "", 0.0)


def test_the_sweep_rings_when_a_pass_is_due(make: MakeReader, shore: Shore) -> None:
    """And not again before its time."""
    app = on_xurrent(shore)
    reader = make(app)
    jobs = "rq:queue:innkeeper-marketplaces"
    for expected in (1, 0):
        reader.desk.queue.command("DEL", jobs, "ik:bell:marketplaces")
        reader.desk.log.claim_trim(60)
        sweep(reader.desk)
        assert reader.desk.queue.command("LLEN", jobs) == expected
        reader.go_through(app)


def test_wrong_credentials_are_told(make: MakeReader, shore: Shore) -> None:
    """Without repeating them."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.bent[LIST] = said({"message": "bad token personal"}, "401 Unauthorized")
    _look_once(reader)
    error = reader.state(app).error
    assert error.startswith("Refused: ")
    assert "personal" not in error


def test_five_thousand_instances_in_bounded_time(make: MakeReader, shore: Shore) -> None:
    """Adopted, and gone through once more without a call but the list's."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 5000)
    started = time.monotonic()
    assert reader.go_through(app).adopted == 5000
    shore.forget()
    drift = reader.go_through(app)
    assert (drift.seen, drift.differing, drift.secrets_missing_count) == (5000, 0, 5000)
    assert len(drift.secrets_missing) == 100
    assert len(shore.asked) == 5000 // PAGE
    assert time.monotonic() - started < 60


def test_an_app_that_refuses_raises_for_whoever_asks(make: MakeReader, shore: Shore) -> None:
    """The lease is given back, so that the next pass need not wait for it."""
    app = on_xurrent(shore)
    reader = make(app)
    shore.bent[LIST] = down()
    with pytest.raises(ApiError):
        reader.go_through(app)
    assert reader.desk.store.command("EXISTS", lease(reader)) == 0


def test_unknown_flags_of_an_import_are_filled_in_without_a_step(
    make: MakeReader, shore: Shore
) -> None:
    """The customer was there before us: nothing is set off but by hand."""
    app = on_xurrent(shore)
    reader = make(app)
    filled(shore, 1)
    event = Event(type="import", kind=EventKind.STATED, order=order(0), adopts=True, flags=None)
    reader.said(app, "c0", event)
    reader.go_through(app)
    assert reader.status(app, "c0") == "enabled"
    assert reader.happened(app, "c0") == ["adopted", "updated"]
    assert work_names(reader, "c0") == ["welcome"]


def _look_once(reader: Reader) -> None:
    reconciling = Reconciling(reader.desk)
    while reconciling.look():
        continue


def _make_due(reader: Reader, *, keep: bool = False) -> None:
    """Let the time pass until the next pass over `tides`; `keep`: with its failures."""
    pseudo = InstanceKey.pseudo("xurrent", "tides")
    state = reader.desk.passes.states([pseudo])[0]
    failures = state.failures if keep else 0
    reader.desk.passes.set(
        pseudo, replace(state, started_at=1.0, not_before=0.0, failures=failures)
    )
