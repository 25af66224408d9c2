"""The clock: how far off it is, as the provider's tokens tell, and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from innkeeper_receiver.clock import Clock
from tests.deliveries import (
    CUSTOMER,
    PATH,
    app_event,
    delivery,
    lifecycle,
    policy_block,
    secrets_update,
)
from tests.processes import soon
from tests.receiver.conftest import Start
from tests.receiver.running import Running

NAME = 'innkeeper_clock_skew_seconds{platform="xurrent"} '


def skew(receiver: Running) -> float | None:
    """What the receiver's figures say."""
    lines = receiver.ask("GET", "/metrics").body.decode().splitlines()
    return next((float(line.removeprefix(NAME)) for line in lines if line.startswith(NAME)), None)


@pytest.mark.parametrize(
    ("off", "status"), [(-600, 202), (600, 401), (0, 202)], ids=["ahead", "behind", "right"]
)
def test_the_skew_is_named(start: Start, off: int, status: int):
    """Also where tokens are refused for their times: the sender is told only 401."""
    receiver = start()
    assert skew(receiver) is None
    for number in range(3):
        said = int(time.time()) + off - number
        body = delivery(lifecycle(audit=number), iat=said, nbf=said)
        assert receiver.post(PATH, body).status == status
    found = skew(receiver)
    assert found is not None
    assert abs(found + off) < 10


def test_an_expired_token_tells_the_time(start: Start):
    """What is refused for being late alone counts."""
    receiver, then = start(), int(time.time()) - 900
    body = delivery(lifecycle(), iat=then, nbf=then, exp=then + 600)
    assert receiver.post(PATH, body).status == 401
    found = skew(receiver)
    assert found is not None
    assert abs(found - 900) < 10


def test_only_the_providers_key_tells_the_time(start: Start, apply_all: Callable[[], None]):
    """Neither a customer's nor a stranger's token changes what the provider's say."""
    receiver = start()
    block = policy_block(CUSTOMER)
    assert receiver.post(PATH, delivery(secrets_update(policy=block))).status == 202
    apply_all()
    wrong = int(time.time()) - 5000
    url = f"{PATH}?account={CUSTOMER}"
    assert soon(lambda: receiver.post(url, app_event(iat=wrong)).status == 202, 3)
    for number in range(40):
        receiver.post(url, app_event(iat=wrong - number))
        receiver.post(PATH, delivery(lifecycle(), owner="stranger", iat=wrong - number))
    found = skew(receiver)
    assert found is not None
    assert abs(found) < 10


def test_a_token_counts_once():
    """One that is sent again, by a thief or in earnest, does not move the median."""
    clock, now = Clock(), 1_790_000_000.0
    for number in range(5):
        clock.compare("xurrent", now + number, now + number + 1)
    for _ in range(100):
        clock.compare("xurrent", now - 9000, now)
    assert clock.skews() == {"xurrent": 1.0}


def test_the_last_tokens_count():
    """After 31 others, the median of 31 has nothing of what was before a correction."""
    clock, now = Clock(), 1_790_000_000.0
    for number in range(50):
        clock.compare("xurrent", now + number, now + number + 700)
    for number in range(100, 131):
        clock.compare("xurrent", now + number, now + number + 2)
    clock.compare("other", now, now - 3)
    assert clock.skews() == {"xurrent": 2.0, "other": -3.0}
