"""Connecting apps to the marketplaces, as the simulator plays them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from innkeeper.config import App, Basic, Config, NoCredential, ReceiverSection
from innkeeper.operations.connecting import connect
from innkeeper.operations.questions import BadQuestion
from innkeeper.platforms.api_errors import Refused, Unsupported
from innkeeper.platforms.connecting import Step
from innkeeper.platforms.jws import signing_policy
from simulator.settings import Settings
from tests.conftest import MakeDesk
from tests.levers import simulated_apps
from tests.simulator.conftest import free_port
from tests.simulator.running import Simulator, simulator

PUBLIC_URL = "http://127.0.0.1:1"
HOOK = f"{PUBLIC_URL}/hooks/xurrent/notes"
EVENTS = ["create", "delete", "secrets-update", "update"]


@pytest.fixture(scope="module")
def market() -> Iterator[Simulator]:
    """Marketplaces on which nothing is connected yet."""
    settings = Settings(port=free_port(), tls_port=None, connected=False, receiver=PUBLIC_URL)
    with simulator(settings) as running:
        yield running


@pytest.fixture
def fresh(market: Simulator) -> Iterator[Simulator]:
    """The same, without what an earlier test has made."""
    yield market
    headers = market.xurrent()
    for path in ("webhooks", "webhook_policies"):
        for one in market.get(f"/xurrent/v1/{path}?per_page=100", **headers).json():
            if path == "webhooks" or one["name"] == "Innkeeper":
                market.send("DELETE", f"/xurrent/v1/{path}/{one['id']}", **headers)


class Office:
    """Runs `connect` as an operator does."""

    def __init__(self, make_desk: MakeDesk, data: Path, market: Simulator) -> None:
        self._make_desk, self._data, self.market = make_desk, data, market
        self.apps: tuple[App, ...] = simulated_apps(market.run.settings)

    def connect(self, at: int = 0, **more: Any) -> list[Step]:
        """Connect one of the apps."""
        receiver = ReceiverSection(public_url=PUBLIC_URL)
        given: dict[str, Any] = {"data": self._data, "apps": self.apps, "receiver": receiver}
        desk = self._make_desk(Config(**(given | more)))
        return list(connect(desk, self.apps[at]))

    def webhooks(self) -> list[dict[str, Any]]:
        """The provider's webhooks."""
        path = "/xurrent/v1/webhooks?per_page=100"
        found: list[dict[str, Any]] = self.market.get(path, **self.market.xurrent()).json()
        return found

    def policies(self) -> list[int]:
        """The ids of the policies that `connect` has made."""
        path = "/xurrent/v1/webhook_policies?per_page=100"
        found = self.market.get(path, **self.market.xurrent()).json()
        return [one["id"] for one in found if one["name"] == "Innkeeper"]


@pytest.fixture
def office(make_desk: MakeDesk, tmp_path: Path, fresh: Simulator) -> Office:
    """Nothing is connected yet."""
    return Office(make_desk, tmp_path, fresh)


def changes(steps: list[Step]) -> list[str]:
    """What was changed."""
    return [step.what for step in steps if step.changed]


def test_a_provider_is_connected_once(office: Office, tmp_path: Path) -> None:
    """A policy whose key is on disk, four webhooks; the second run changes nothing."""
    first = office.connect()
    assert len(changes(first)) == 5
    found = office.webhooks()
    assert sorted(one["event"].partition(".")[2] for one in found) == EVENTS
    assert {one["uri"] for one in found} == {HOOK}
    (policy,) = office.policies()
    assert {one["webhook_policy"]["id"] for one in found} == {policy}
    path = tmp_path / "keys" / f"xurrent-wdc.xurrent.example-{policy}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == office.market.run.hooks.webhooks[found[0]["id"]].policy.public_pem  # type: ignore[union-attr]
    assert f'key_file = "{path}"' in (first[-1].configuration or "")
    assert first[0].key_file == str(path)
    second = office.connect()
    assert changes(second) == []
    assert office.webhooks() == found


def test_once_it_is_configured_nothing_is_to_be_configured(office: Office) -> None:
    """The key in force is the one on disk."""
    path = next(step.key_file for step in office.connect() if step.key_file)
    learned = signing_policy("RS256", Path(path).read_text())
    office.apps = (replace(office.apps[0], policy=learned), *office.apps[1:])
    assert [step.configuration for step in office.connect()] == [None] * 5


def test_another_app_of_the_provider_shares_policy_and_secrets(office: Office) -> None:
    """Three more webhooks: secrets-updates come once per provider."""
    office.connect()
    other = replace(office.apps[0], name="other", reference="other")
    office.apps = (other, *office.apps[1:])
    assert len(changes(office.connect())) == 3
    assert len(office.policies()) == 1
    assert changes(office.connect()) == []


def test_a_run_that_was_cut_off_is_mended(office: Office, tmp_path: Path) -> None:
    """Its policy was made and its key not kept; its webhooks were half made, or switched off."""
    headers = office.market.xurrent()
    lost = office.market.send(
        "POST", "/xurrent/v1/webhook_policies", {"name": "Innkeeper", "jwt_alg": "rs256"}, **headers
    ).json()["id"]
    assert changes(office.connect())[0].startswith(f"deleted the webhook policy {lost}")
    first, second = office.webhooks()[:2]
    office.market.send("DELETE", f"/xurrent/v1/webhooks/{first['id']}", **headers)
    office.market.send(
        "PATCH", f"/xurrent/v1/webhooks/{second['id']}", {"disabled": True}, **headers
    )
    assert [one.split()[0] for one in changes(office.connect())] == ["made", "mended"]
    assert changes(office.connect()) == []


def test_wrong_credentials_are_told_before_anything_is_made(office: Office) -> None:
    """On each marketplace."""
    xurrent, rebilly, xandr = simulated_apps(office.market.run.settings)
    assert xurrent.api
    assert rebilly.api
    assert xandr.api
    office.apps = (
        replace(xurrent, api=replace(xurrent.api, client_secret="wrong")),
        replace(rebilly, api=replace(rebilly.api, api_key="wrong")),
        replace(xandr, api=replace(xandr.api, password="wrong")),
    )
    for at in range(3):
        with pytest.raises(Refused) as told:
            office.connect(at)
        assert "wrong" not in str(told.value)
    assert (office.webhooks(), office.policies()) == ([], [])


def test_an_owner_is_connected_once(office: Office) -> None:
    """A credential, which is there the second time (303), and one webhook with both events."""
    assert changes(office.connect(1))[0].startswith("made the webhook")
    assert changes(office.connect(1)) == []
    (made,) = office.market.run.hooks.subscriptions
    assert (made.url, made.active) == (f"{PUBLIC_URL}/hooks/rebilly", True)
    assert sorted(made.events) == [
        "application-instance-disabled", "application-instance-enabled",
    ]  # fmt: skip
    made.active = False
    key = {"REB-APIKEY": "simulated-api-key"}
    listed = office.market.get("/rebilly/webhooks", **key).json()
    path = f"/rebilly/webhooks/{listed[0]['id']}"
    office.market.send("PUT", path, {**listed[0], "status": "inactive"}, **key)
    assert changes(office.connect(1))[0].startswith("mended")
    assert made.active


def test_apps_of_one_owner_need_the_same_credential(office: Office) -> None:
    """Their one webhook has one; and only basic ones can be registered."""
    rebilly = simulated_apps(office.market.run.settings)[1]
    another = Basic(username="rebilly", password="another")
    office.apps = (rebilly, replace(rebilly, name="second", credential=another))
    with pytest.raises(Unsupported, match="the same"):
        office.connect()
    office.apps = (replace(rebilly, credential=NoCredential()),)
    with pytest.raises(Unsupported, match="basic"):
        office.connect()


def test_what_is_polled_is_only_tried(office: Office) -> None:
    """There is nothing to register."""
    (step,) = office.connect(2)
    assert not step.changed
    assert "polled" in step.what


def test_the_marketplace_has_to_know_where_to(office: Office) -> None:
    """Without a public URL, or an API, nothing can be connected."""
    with pytest.raises(BadQuestion, match="public_url"):
        office.connect(receiver=ReceiverSection())
    office.apps = (replace(office.apps[0], api=None),)
    with pytest.raises(Unsupported):
        office.connect()
