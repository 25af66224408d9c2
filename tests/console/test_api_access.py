"""Who may ask, and what errors look like."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from innkeeper.config import MetricsSection
from innkeeper.store.connection import Store
from innkeeper.store.register import Register
from innkeeper_console.api import create_app
from tests.conftest import MakeDesk
from tests.inn import Inn, config_of

PATHS = ("/app_instances", "/deliveries", "/rejected", "/dead_letters", "/metrics", "/nowhere")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "stated", [None, "Bearer", "Bearer token-3", "Basic token-1", "token-1", "Bearer tökén"]
)
def test_without_a_valid_token_nothing_is_told(
    api: TestClient, path: str, stated: str | None
) -> None:
    """401 with a challenge, for paths that do not exist as well."""
    del api.headers["authorization"]
    headers = {"authorization": stated.encode()} if stated else {}
    answer = api.get(path, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "title": "Unauthorized", "status": 401}


@pytest.mark.parametrize("token", ["token-1", "token-2"])
def test_every_configured_token_is_valid(api: TestClient, token: str) -> None:
    """So that one can be replaced without a gap."""
    answer = api.get("/app_instances", headers={"authorization": f"bearer {token}"})
    assert (answer.status_code, answer.json()) == (200, [])


def test_health_needs_no_token(api: TestClient) -> None:
    """It is asked by `up` and by load balancers."""
    del api.headers["authorization"]
    answer = api.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "store": "ok", "apps": []})


def test_metrics_may_be_opened_to_networks(make_desk: MakeDesk, tmp_path: Path) -> None:
    """`[metrics] allow` names who reads the figures without a token, and nothing else."""
    config = config_of(tmp_path, metrics=MetricsSection(allow=("10.0.0.0/8",)))
    app = create_app(make_desk(config))
    near, far = TestClient(app, client=("10.1.2.3", 1)), TestClient(app, client=("11.1.2.3", 1))
    assert near.get("/metrics").status_code == 200
    assert near.get("/app_instances").status_code == 401
    assert far.get("/metrics").status_code == 401


def test_errors_are_problem_documents(api: TestClient) -> None:
    """404, 405 with what is allowed, and 400 with what is wrong."""
    missing = api.get("/nowhere")
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")
    for path, allowed in (
        ("/app_instances", {"GET", "HEAD"}),
        ("/app_instances/a/b/c", {"GET", "HEAD", "PATCH"}),
    ):
        wrong = api.put(path)
        assert wrong.status_code == 405
        assert {"HEAD", *wrong.headers["allow"].split(", ")} == allowed
        assert wrong.headers["content-type"] == "application/problem+json"
    wrong = api.get("/app_instances?colour=red")
    assert wrong.status_code == 400
    assert "colour" in wrong.json()["detail"]
    assert api.head("/app_instances").status_code == 200


def test_a_store_that_is_away_is_said_to_be(inn: Inn, tmp_path: Path) -> None:
    """503 with when to come back, and `/health` says so too."""
    away = Store(f"unix://{tmp_path}/nobody.sock")
    register = Register(away, inn.desk.ring)
    app = create_app(dataclasses.replace(inn.desk, store=away, register=register))
    api = TestClient(app, headers={"authorization": "Bearer token-1"})
    answer = api.get("/app_instances")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert api.get("/health").status_code == 503


def test_figures_of_the_store(inn: Inn, api: TestClient) -> None:
    """What came in, what became of it, what waits and what failed."""
    inn.states("a", suspended=True)
    inn.perform()
    inn.states("b")
    text = api.get("/metrics").text
    for line in (
        'innkeeper_entries_total{outcome="accepted"} 2.0',
        'innkeeper_entries_total{outcome="applied"} 2.0',
        "innkeeper_entries_pending 0.0",
        "innkeeper_instances 2.0",
        "innkeeper_dead_letters 1.0",
        "innkeeper_work_open 2.0",
        "innkeeper_partitions_stopped 0.0",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("path", ["/app_instances%0A", "/health%0A", "/metrics%00"])
def test_a_path_with_control_characters_is_none(api: TestClient, path: str) -> None:
    """A pattern's end lets a last newline by; the door does not."""
    assert api.get(path).status_code == 404
