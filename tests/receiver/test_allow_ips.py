"""`allow_ips`: from where deliveries may come, as the connection or trusted proxies tell it."""

from __future__ import annotations

import pytest

from innkeeper.config import ReceiverSection
from tests.deliveries import (
    BASIC,
    PATH,
    REBILLY_PATH,
    delivery,
    lifecycle,
    rebilly,
    rebilly_app,
    xurrent_app,
)
from tests.receiver.conftest import Start

HOME = ("198.51.100.0/24", "2001:db8::/32")
PROXIES = ReceiverSection(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))


def test_the_connection_counts(start: Start):
    """401 from an address that is not among them; the same delivery from one that is: 202."""
    body = delivery(lifecycle())
    assert start(apps=(xurrent_app(allow_ips=HOME),)).post(PATH, body).status == 401
    allowed = start(apps=(xurrent_app(allow_ips=("127.0.0.1",)),))
    assert allowed.post(PATH, body).status == 202


def test_a_stranger_names_no_address(start: Start):
    """X-Forwarded-For counts for nothing where no proxy is trusted."""
    receiver = start(apps=(xurrent_app(allow_ips=HOME),))
    headers = {"x-forwarded-for": "198.51.100.7"}
    assert receiver.post(PATH, delivery(lifecycle()), headers).status == 401


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("198.51.100.7", 202),
        ("2001:db8::7", 202),
        ("::ffff:198.51.100.7", 202),
        ("198.51.100.7, 10.1.1.1", 202),
        ("203.0.113.9, 198.51.100.7", 202),
        ("198.51.100.7, 203.0.113.9", 401),
        ("198.51.100.7, 203.0.113.9, 10.1.1.1", 401),
        ("203.0.113.9", 401),
        ("198.51.100.7, unknown", 401),
        ("", 401),
        (",,", 401),
    ],
)
def test_trusted_proxies_are_believed_from_the_right(start: Start, forwarded: str, status: int):
    """The caller is the first from the right that is no proxy of ours, whatever stands before."""
    receiver = start(apps=(xurrent_app(allow_ips=HOME),), receiver=PROXIES)
    headers = {"x-forwarded-for": forwarded}
    assert receiver.post(PATH, delivery(lifecycle()), headers).status == status


def test_the_app_that_the_body_names_counts(start: Start):
    """A path without the app's name, or with another one's, is no way around its addresses."""
    guarded = rebilly_app(allow_ips=HOME)
    open_one = rebilly_app(name="other", reference="app_other")
    receiver = start(apps=(open_one, guarded))
    for path in (REBILLY_PATH, "/hooks/rebilly", "/hooks/rebilly/other"):
        assert receiver.post(path, rebilly(), BASIC).status == 401
