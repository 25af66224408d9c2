"""Who was there before us: rule 9."""

from __future__ import annotations

from msgspec.structs import replace

from innkeeper.lifecycle.events import Event
from innkeeper.lifecycle.instance import Status
from tests.lifecycle.telling import OPERATES, SUSPENDED, after, arrive, names, removes, states


def adopting(event: Event) -> Event:
    """The same, of one who was there before us."""
    return replace(event, adopts=True)


def test_who_was_there_is_adopted_once() -> None:
    """Into whatever status; from then on it is an instance like any other."""
    folded = arrive(None, adopting(states(5, SUSPENDED)))
    assert (names(folded), folded.instance and folded.instance.status) == (
        ["adopted"],
        Status.SUSPENDED,
    )
    assert names(arrive(folded.instance, adopting(states(6, OPERATES)))) == ["resumed"]


def test_flags_that_an_import_did_not_know_are_no_step() -> None:
    """Where they come from a pass that adopts; a delivery's are."""
    known = after(adopting(replace(states(0), flags=None)))
    assert known.status is Status.PENDING
    assert names(arrive(known, adopting(states(5)))) == ["updated"]
    assert names(arrive(known, states(5))) == ["enabled"]


def test_one_who_was_installed_is_not_adopted() -> None:
    """Though its flags are told by what adopts: it has come since."""
    known = after(replace(states(1), flags=None))
    assert names(arrive(known, adopting(states(5)))) == ["enabled"]


def test_who_has_left_comes_back_as_anyone() -> None:
    """Known once, an instance is not adopted any more."""
    known = after(adopting(states(1)), removes(2))
    assert names(arrive(known, adopting(states(3, object_id="B")))) == ["installed", "enabled"]
