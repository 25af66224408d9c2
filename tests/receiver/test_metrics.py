"""The receiver's metrics: for loopback, for networks that are named, and for who has the token."""

from __future__ import annotations

import pytest

from innkeeper.config import MetricsSection, ReceiverSection
from tests.deliveries import PATH, delivery, lifecycle
from tests.receiver.conftest import Start
from tests.receiver.running import Running

BEHIND_PROXY = ReceiverSection(trusted_proxies=("127.0.0.0/8",))


def test_loopback_may_read(receiver: Running):
    """200 in the format of Prometheus, without any token."""
    answer = receiver.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "innkeeper_store_ready 1.0" in answer.body.decode()


@pytest.mark.parametrize(
    ("caller", "authorization", "status"),
    [
        ("203.0.113.9", None, 401),
        ("203.0.113.9", "Bearer wrong", 401),
        ("203.0.113.9", "Bearer ", 401),
        ("203.0.113.9", "Bearer öpen", 401),
        ("203.0.113.9", "Bearer open-sesame", 200),
        ("10.1.2.3", None, 200),
        ("::ffff:10.1.2.3", None, 200),
        ("11.1.2.3", None, 401),
        ("no address", None, 401),
        ("127.0.0.1", None, 200),
        ("10.1.2.3, 203.0.113.9", None, 401),
        ("203.0.113.9, 10.1.2.3", None, 200),
    ],
)
def test_who_else_may_read(start: Start, caller: str, authorization: str | None, status: int):
    """Named networks, as a trusted proxy tells the caller, and the token; else 401."""
    receiver = start(receiver=BEHIND_PROXY, metrics=MetricsSection(allow=("10.0.0.0/8",)))
    headers = {"x-forwarded-for": caller}
    if authorization is not None:
        headers["authorization"] = authorization
    answer = receiver.ask("GET", "/metrics", headers=headers)
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert b"innkeeper" not in answer.body


def test_without_proxies_nobody_says_who_is_calling(receiver: Running):
    """X-Forwarded-For of a stranger neither opens nor closes anything."""
    answer = receiver.ask("GET", "/metrics", headers={"x-forwarded-for": "203.0.113.9"})
    assert answer.status == 200


def test_answers_and_refusals_are_counted(start: Start):
    """By platform, app and status; refusals by reason."""
    receiver = start()
    body = delivery(lifecycle())
    for posted in (body, body, delivery(lifecycle(), owner="stranger"), b"{", b" " * (2 << 20)):
        receiver.post(PATH, posted)
    text = receiver.ask("GET", "/metrics").body.decode()
    for status in (202, 200, 401, 400, 413):
        labels = f'app="tides",platform="xurrent",status="{status}"'
        assert f"innkeeper_deliveries_total{{{labels}}} 1.0" in text
    labels = 'app="tides",platform="xurrent",reason="bad_signature"'
    assert f"innkeeper_refused_total{{{labels}}} 1.0" in text


def test_strangers_make_no_series(start: Start):
    """A path that names nothing of ours is counted, but not by its name."""
    receiver = start()
    for number in range(5):
        assert receiver.post(f"/hooks/xurrent/stranger{number}", b"{}").status == 404
        assert receiver.post(f"/hooks/stranger{number}/x", b"{}").status == 404
    assert "stranger" not in receiver.ask("GET", "/metrics").body.decode()
