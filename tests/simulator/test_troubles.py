"""Marketplaces that are down, slow, lying, or refuse our credentials."""

from __future__ import annotations

import time
from typing import Any

import pytest

from simulator.settings import API_KEY, XANDR_PASSWORD, XANDR_USER
from tests.simulator.conftest import Start
from tests.simulator.running import Simulator

XURRENT = "/xurrent/v1/app_instances?per_page=100"
REBILLY = "/rebilly/organizations/org_vendor/applications/app_01SIMULATED/instances"
XANDR = "/xandr/app-installation"
LISTS = {"xurrent": XURRENT, "rebilly": REBILLY, "xandr": XANDR}


@pytest.fixture
def simulator(start: Start) -> Simulator:
    """After a while, with nobody told of it."""
    running = start(connected=False)
    running.control("act", {"n": 60, "wait": True})
    return running


@pytest.fixture
def access(simulator: Simulator) -> dict[str, dict[str, str]]:
    """Headers by marketplace."""
    said = {"auth": {"username": XANDR_USER, "password": XANDR_PASSWORD}}
    token = simulator.send("POST", "/xandr/auth", said).json()["response"]["token"]
    return {
        "xurrent": simulator.xurrent(),
        "rebilly": {"REB-APIKEY": API_KEY},
        "xandr": {"Authorization": token},
    }


def trouble(simulator: Simulator, platform: str, kind: str | None, **more: Any) -> None:
    """Switch it on, or all off."""
    simulator.control("trouble", {"platform": platform, "trouble": kind, **more})


@pytest.mark.parametrize("platform", LISTS)
def test_down_html_and_limited(simulator: Simulator, access: Any, platform: str):
    """Each strikes as often as it is told to, and only that marketplace."""
    seen = []
    for kind in ("down", "html", "limited", None):
        trouble(simulator, platform, kind, times=1, seconds=7)
        answer = simulator.get(LISTS[platform], **access[platform])
        seen.append(answer.status_code)
        if kind == "limited":
            waits = answer.headers.get("retry-after"), answer.headers.get("x-ratelimit-retry-after")
        if kind == "html":
            assert answer.text.startswith("<!doctype html>")
    assert seen == [503, 200, 503 if platform == "xandr" else 429, 200]
    if platform == "rebilly":
        assert 0 < int(waits[1] or 0) - time.time() < 8
    else:
        assert waits[0] == "7"


@pytest.mark.parametrize("platform", LISTS)
def test_credentials_refused(simulator: Simulator, access: Any, platform: str):
    """401, and NOAUTH on Xandr, until it is switched off."""
    trouble(simulator, platform, "refusing")
    for _ in range(2):
        answer = simulator.get(LISTS[platform], **access[platform])
        if platform == "xandr":
            assert answer.json()["response"]["error_id"] == "NOAUTH"
        else:
            assert answer.status_code == 401
    trouble(simulator, platform, None)
    assert simulator.get(LISTS[platform], **access[platform]).status_code == 200


@pytest.mark.parametrize("platform", LISTS)
def test_lies(simulator: Simulator, access: Any, platform: str):
    """Short pages under the full count, counts that differ, and rows that are no objects."""

    def listed() -> tuple[Any, int]:
        answer = simulator.get(LISTS[platform], **access[platform])
        if platform == "xandr":
            response = answer.json()["response"]
            return response["app-installations"], response["count"]
        name = "pagination-total" if platform == "rebilly" else "x-pagination-total-entries"
        return answer.json(), int(answer.headers[name])

    rows, total = listed()
    assert len(rows) == total > 1
    trouble(simulator, platform, "short_pages", times=1)
    short, same_total = listed()
    assert (len(short), same_total) == (total // 2, total)
    trouble(simulator, platform, "changing_counts", times=2)
    assert len({listed()[1], listed()[1], total}) == 3
    trouble(simulator, platform, "wrong_types", times=1)
    assert {type(row) for row in listed()[0]} == {str}


def test_slow_tells_what_was_true(simulator: Simulator, access: Any):
    """The answer is of the time of the question, though it comes later than a change."""
    trouble(simulator, "rebilly", "slow", times=1, seconds=0.3)
    started = time.monotonic()
    assert simulator.get(REBILLY, **access["rebilly"]).status_code == 200
    assert time.monotonic() - started >= 0.3
