"""The console's figures for whoever is on call: each of them, from the store alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from innkeeper.config import RebillyApi
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.spool import SpoolState
from innkeeper.store.passes import Drift, PassState
from innkeeper_console.api import create_app
from innkeeper_receiver.figures import Figures as ReceiverFigures
from tests.conftest import MakeDesk
from tests.inn import REBILLY, XURRENT, Inn, config_of

Figures = Mapping[tuple[str, str], float]


DOCS = Path(__file__).parents[2] / "docs"


def figures(api: TestClient) -> Figures:
    """By name and app, or the one other label."""
    answer = api.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, sample.labels.get("app") or "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_waits_and_since_when(inn: Inn, api: TestClient) -> None:
    """The backlog with its age, then the work that comes of it with its own."""
    inn.states("a")
    found = figures(api)
    assert found["innkeeper_entries_pending", ""] == 0
    assert found["innkeeper_entries_pending_age_seconds", ""] == 0
    assert found["innkeeper_work_waiting", ""] == 1
    assert 0 <= found["innkeeper_work_waiting_age_seconds", ""] < 30
    assert found["innkeeper_lanes_waiting", "perform"] == 1
    inn.perform()
    assert figures(api)["innkeeper_work_waiting", ""] == 0


@pytest.mark.parametrize("answered", ["before", "after"])
def test_the_last_delivery_outlives_a_restart(inn: Inn, api: TestClient, answered: str) -> None:
    """It is in the store, by app; an app that nothing has come for has none."""
    inn.states("a")
    if answered == "after":
        api = TestClient(create_app(inn.desk), headers={"authorization": "Bearer token-1"})
    found = figures(api)
    assert abs(found["innkeeper_last_delivery_timestamp_seconds", "notes"] - time.time()) < 30
    assert ("innkeeper_last_delivery_timestamp_seconds", "tides") not in found


def test_how_the_apps_passes_stand(make_desk: MakeDesk, tmp_path: Path) -> None:
    """Held removals and missing secrets, of the apps that have a list."""
    api_of = RebillyApi(base_url="https://api.rebilly.example", api_key="k")
    app = replace(REBILLY, api=api_of, reconcile=3600.0)
    desk = make_desk(config_of(tmp_path, apps=(XURRENT, app)))
    ended = datetime.now(UTC)
    drift = Drift(number=1, started_at=ended, ended_at=ended, held=7, secrets_missing_count=3)
    state = PassState(number=1, held_since=time.time(), drift=drift)
    desk.passes.set(InstanceKey.pseudo("rebilly", "tides"), state)
    api = TestClient(create_app(desk), headers={"authorization": "Bearer token-1"})
    found = figures(api)
    assert found["innkeeper_removals_held", "tides"] == 7
    assert found["innkeeper_secrets_missing", "tides"] == 3
    assert abs(found["innkeeper_last_pass_timestamp_seconds", "tides"] - time.time()) < 30
    assert ("innkeeper_removals_held", "notes") not in found


def test_every_figure_is_in_the_docs(inn: Inn, api: TestClient) -> None:
    """The console's names in the API's page, the receiver's in that of operations."""
    spoken = {name for name, _ in figures(api)}
    receiver = ReceiverFigures()
    receiver.answered("xurrent", "notes", 202)
    receiver.refused.labels("xurrent", "notes", "expired").inc()
    receiver.shed("bodies")
    receiver.clock.compare("xurrent", time.time(), time.time())
    families = text_string_to_metric_families(receiver.text().decode())
    of_receiver = {sample.name for family in families for sample in family.samples}
    for names, page in ((spoken, "api.md"), (of_receiver, "operations.md")):
        text = (DOCS / page).read_text()
        counted = {name for name in names if not name.endswith("_created")}
        assert {name for name in counted if f"`{name}" not in text} == set()


def test_the_spool_in_figures() -> None:
    """What it holds out of how much, and since when; all zero where there is none."""
    receiver = ReceiverFigures()
    assert "innkeeper_spool_usable 0.0" in receiver.text().decode()
    state = SpoolState(deliveries=3, bytes=4096, oldest_at=time.time() - 100, overdue=1)
    receiver.show_spool(state, most_bytes=1 << 30)
    lines = receiver.text().decode().splitlines()
    found = dict(line.split() for line in lines if line.startswith("innkeeper_spool"))
    assert float(found["innkeeper_spool_deliveries"]) == 3
    assert float(found["innkeeper_spool_limit_bytes"]) == 1 << 30
    assert 99 < float(found["innkeeper_spool_age_seconds"]) < 120
    assert (found["innkeeper_spool_overdue"], found["innkeeper_spool_usable"]) == ("1.0", "1.0")
