"""Changing an instance on its marketplace."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.instance import Status
from innkeeper.operations import changing
from innkeeper.operations.changing import NotYetApplied, OutcomeUnknown, change_instance
from innkeeper.platforms.api_errors import Invalid, Missing, Unsupported
from innkeeper.store.outbox import LaneKind
from innkeeper.store.register import Line
from tests.conftest import MakeDesk
from tests.inn import Inn, config_of, key_of, rebilly
from tests.levers import PATH, applied_meanwhile, apps_of, shown
from tests.platforms.apis import Api, html, said
from tests.sites import site


@pytest.fixture
def api() -> Iterator[Api]:
    """The marketplace's API; nothing is there yet."""
    with site() as running:
        yield Api(running)


@pytest.fixture
def inn(make_desk: MakeDesk, tmp_path: Path, api: Api) -> Inn:
    """Acme has installed the app."""
    inn = Inn(make_desk(config_of(tmp_path, apps=apps_of(api.url))))
    inn.states("acme")
    return inn


def line_of(inn: Inn, key: InstanceKey | None = None) -> Line:
    """An instance's line."""
    line = inn.desk.register.line(key or key_of())
    assert line is not None
    return line


def change(inn: Inn, **fields: Any) -> Line:
    """Change acme's instance."""
    return change_instance(inn.desk, line_of(inn), fields)


def test_a_change_is_made_there_and_then_in_the_register(inn: Inn, api: Api) -> None:
    """The line is what the marketplace answered, folded like any read."""
    api.answers(PATH, said(shown(suspended=True, suspension_comment="unpaid")))
    with applied_meanwhile(inn):
        line = change(inn, suspended=True, suspension_comment="unpaid")
    assert (line.instance.status, line.instance.confirmed) == (Status.SUSPENDED, True)
    assert line.instance.stated["suspension_comment"] == "unpaid"
    (request,) = api.to(PATH)
    assert request.method == "PATCH"
    assert request.document == {"suspended": True, "suspension_comment": "unpaid"}
    assert [t.name for t in inn.desk.register.transitions(key_of())][-1] == "suspended"


def test_all_faults_are_told_and_nothing_is_sent(inn: Inn, api: Api) -> None:
    """Unknown, read-only and wrong fields at once."""
    with pytest.raises(Invalid) as told:
        change(inn, suspended="yes", id=3, colour="red", customer_representative=None)
    names = [fault.partition(":")[0] for fault in told.value.faults]
    assert names == ["suspended", "id", "colour", "customer_representative"]
    assert api.requests == []


def test_the_marketplaces_own_faults_are_told(inn: Inn, api: Api) -> None:
    """All of them; the register stays as it is."""
    faults = {"message": "a; b", "errors": ["a", "b"]}
    api.answers(PATH, said(faults, "422 Unprocessable Entity"))
    with pytest.raises(Invalid) as told:
        change(inn, disabled=True)
    assert told.value.faults == ("a", "b")
    assert line_of(inn).instance.confirm_wanted == 0


@pytest.mark.parametrize("answer", [html(), html("502 Bad Gateway"), said([1])])
def test_an_unknown_outcome_wants_a_confirm(inn: Inn, api: Api, answer: bytes) -> None:
    """What is known stands, unconfirmed, until it is read back."""
    api.answers(PATH, answer)
    with pytest.raises(OutcomeUnknown):
        change(inn, disabled=True)
    inn.apply()
    instance = line_of(inn).instance
    assert (instance.status, instance.confirmed) == (Status.ENABLED, False)
    assert (instance.confirm_wanted, instance.confirm_settled) == (1, 0)
    lanes = inn.desk.outbox.lanes(key_of())
    assert lanes[LaneKind.PLATFORM].length == 1


def test_a_read_that_is_overtaken_is_made_again(inn: Inn, api: Api) -> None:
    """The change's own webhook may be applied before the answer is."""

    def overtaken(connection: socket.socket) -> None:
        inn.states("acme", suspended=True)
        connection.sendall(said(shown(suspended=True, suspension_comment="unpaid")))

    api.answers(PATH, overtaken, said(shown(suspended=True, suspension_comment="unpaid, again")))
    with applied_meanwhile(inn):
        line = change(inn, suspended=True)
    assert line.instance.stated["suspension_comment"] == "unpaid, again"
    assert [request.method for request in api.to(PATH)][:2] == ["PATCH", "GET"]


def test_without_workers_it_does_not_wait_for_ever(
    inn: Inn, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is made all the same, and the register takes it in later."""
    monkeypatch.setattr(changing, "WAIT_SECONDS", 0.1)
    api.answers(PATH, said(shown(disabled=True)))
    with pytest.raises(NotYetApplied) as told:
        change(inn, disabled=True)
    assert told.value.line.instance.status is Status.ENABLED
    inn.apply()
    assert line_of(inn).instance.status is Status.DISABLED


def test_where_there_is_no_lever(inn: Inn, api: Api) -> None:
    """A marketplace without one, an app without an API, an instance that is gone."""
    inn.post(rebilly())
    inn.apply()
    line = line_of(inn, InstanceKey("rebilly", "tides", "org-1"))
    with pytest.raises(Unsupported):
        change_instance(inn.desk, line, {"disabled": True})
    api.answers("/v1/app_instances", said([]))
    with pytest.raises(Missing):
        change(inn, disabled=True)
