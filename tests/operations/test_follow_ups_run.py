"""Setting off one follow-up for instances that are there already."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from innkeeper.config import FollowUp
from innkeeper.operations.follow_ups import set_off
from innkeeper.operations.questions import BadQuestion
from tests.conftest import MakeDesk
from tests.inn import REBILLY, XURRENT, Inn, config_of, key_of
from tests.operations import acme


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    """No follow-up has run yet."""
    acme.provisioned.clear()


def test_it_is_set_off_for_each_of_that_status(inn: Inn) -> None:
    """And for nobody else; no state moves."""
    for account, flags in (("a", {}), ("b", {}), ("c", {"suspended": True})):
        inn.states(account, **flags)
    inn.perform()
    acme.provisioned.clear()
    assert set_off(inn.desk, "provision", "notes", "enabled") == 2
    inn.apply()
    inn.perform()
    assert len(acme.provisioned) == 2
    names = [one.name for one in inn.desk.register.transitions(key_of("a"))]
    assert names == ["installed", "enabled"]


def test_twice_sets_off_twice(inn: Inn) -> None:
    """Under other idempotency keys, for that was asked for."""
    inn.states("a")
    inn.perform()
    acme.provisioned.clear()
    for _ in range(2):
        set_off(inn.desk, "provision", "notes", "enabled")
        inn.apply()
        inn.perform()
    assert len(acme.provisioned) == 2
    keys = [k for one in inn.desk.register.notices(key_of("a")) for k in one.follow_ups.values()]
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("nothing", "notes", "enabled"), "there is no follow-up nothing: provision, fail, tidy"),
        (("provision", "gone", "enabled"), "no app gone is configured"),
        (("provision", "notes", "asleep"), "asleep is no status: "),
        (("provision", "notes", "enabled", "xandr"), "no app notes is configured"),
        (("tidy", "notes", "enabled"), "the follow-up tidy is not for xurrent/notes"),
        (("provision", "twin", "enabled"), "several marketplaces have an app twin: "),
    ],
)
def test_unknown_words_are_refused(
    make_desk: MakeDesk, tmp_path: Path, asked: tuple[str, ...], why: str
) -> None:
    """Follow-up, app and status; and an app that several marketplaces have."""
    tidy = FollowUp(name="tidy", on=("removed",), app="tides", call="tests.operations.acme:fail")
    config = config_of(tmp_path)
    twins = (replace(XURRENT, name="twin"), replace(REBILLY, name="twin"))
    apps = (*config.apps, *twins)
    desk = make_desk(replace(config, apps=apps, follow_ups=(*config.follow_ups, tidy)))
    with pytest.raises(BadQuestion) as refused:
        set_off(desk, *asked)
    assert str(refused.value).startswith(why)
