"""Until an app's first full pass has ended, who turns up in a delivery was there before us."""

from __future__ import annotations

from collections.abc import Callable

from innkeeper.config import RebillyApi, XurrentApi
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.store.passes import PassState
from tests.deliveries import (
    APP,
    BASIC,
    CUSTOMER,
    PATH,
    REBILLY_PATH,
    delivery,
    instance,
    lifecycle,
    rebilly,
    rebilly_app,
    xurrent_app,
)
from tests.processes import soon
from tests.receiver.conftest import Start

NOTES = XurrentApi(base_url="https://api.harbour.example/v1", oauth_url="https://o/", token="t")
DESKS = RebillyApi(base_url="https://api.desk.example/organizations/o", api_key="k")
APPS = (
    xurrent_app(api=NOTES, reconcile=3600.0),
    rebilly_app(api=DESKS, reconcile=3600.0),
)
Apply = Callable[[], None]


def names(desk: Desk, key: InstanceKey) -> list[str]:
    """What happened to an instance."""
    return [str(one.name) for one in desk.register.transitions(key)]


def test_who_turns_up_is_adopted(start: Start, desk: Desk, apply_all: Apply) -> None:
    """By an update; whoever installs just now is installed, and who leaves is removed."""
    receiver = start(apps=APPS)
    for data in (
        lifecycle(customer="old"),
        lifecycle("app_instance.create", "new"),
        lifecycle("app_instance.delete", "leaver"),
    ):
        assert receiver.post(PATH, delivery(data)).status == 202
    apply_all()
    assert names(desk, instance("old")) == ["adopted"]
    assert names(desk, instance("new")) == ["installed", "enabled"]
    assert names(desk, instance("leaver")) == ["removed"]


def test_it_ends_with_the_first_full_pass(start: Start, desk: Desk, apply_all: Apply) -> None:
    """Within a second of it, without a restart."""
    receiver = start(apps=APPS)
    pseudo = InstanceKey.pseudo("xurrent", APP)
    assert pseudo in receiver.receiver.watch.adopting
    desk.passes.set(pseudo, PassState(number=1, adopted=True))
    assert soon(lambda: pseudo not in receiver.receiver.watch.adopting)
    receiver.post(PATH, delivery(lifecycle()))
    apply_all()
    assert names(desk, instance(CUSTOMER)) == ["installed", "enabled"]


def test_without_passes_nobody_is_adopted(start: Start, desk: Desk, apply_all: Apply) -> None:
    """There is no list that could tell who was there before."""
    receiver = start()
    receiver.post(PATH, delivery(lifecycle()))
    apply_all()
    assert names(desk, instance(CUSTOMER)) == ["installed", "enabled"]


def test_a_hint_carries_it_to_its_read(start: Start, desk: Desk) -> None:
    """On Rebilly an *enabled* is the install, and a *disabled* is of one who was there."""
    receiver = start(apps=APPS)
    for event, organization in (("enabled", "org_1"), ("disabled", "org_2")):
        receiver.post(REBILLY_PATH, rebilly(event, organization), BASIC)
    found = [entry for part in range(64) for entry in desk.log.read(part).entries]
    adopts = {e.instance.account: e.event(desk.ring).adopts for e in found}
    assert adopts == {"org_1": False, "org_2": True}
