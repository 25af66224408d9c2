"""Refused deliveries: kept whole and encrypted, off the path, bounded, without credentials."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from innkeeper.config import Header, StoreSection
from innkeeper.lifecycle.errors import Reason
from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.desk import Desk
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import AsyncStore
from innkeeper.store.entry import Captured
from innkeeper.store.rejected import MAX_BYTES, MAX_COUNT, Refusal, Rejection
from innkeeper_receiver.refusals import Refusals
from tests.conftest import KEY
from tests.deliveries import (
    BASIC,
    PATH,
    REBILLY_PATH,
    delivery,
    lifecycle,
    rebilly,
    rebilly_app,
    token,
)
from tests.processes import soon
from tests.receiver.conftest import Start
from tests.receiver.running import Running
from tests.store.servers import server

Kept = Callable[[], list[Rejection]]


@pytest.fixture
def kept(desk: Desk) -> Kept:
    """The refusals that the store keeps."""
    return lambda: desk.rejected.all(now=time.time())


def test_a_refused_delivery_is_kept_whole(receiver: Running, kept: Kept):
    """Its exact bytes, its headers and query, the reason, and of which app it is."""
    body = delivery(lifecycle(), owner="stranger") + b" \r\n"
    assert receiver.post(f"{PATH}?a=%20b", body, {"x-4me-delivery": "d-1"}).status == 401
    assert soon(lambda: len(kept()) == 1)
    (rejection,) = kept()
    assert str(rejection.app) == "xurrent/tides/-"
    assert rejection.refusal.reason is Reason.BAD_SIGNATURE
    captured = rejection.refusal.captured
    assert (captured.app, captured.query, captured.body) == ("tides", "a=%20b", body)
    assert ("x-4me-delivery", "d-1") in captured.headers


def test_it_is_kept_encrypted(receiver: Running, kept: Kept, valkey_folder: Path):
    """Nothing of the body or the headers stands in clear in the store's files."""
    text = json.dumps({"jwt": token(lifecycle(), owner="stranger"), "canary": "canary-in-the-body"})
    assert receiver.post(PATH, text.encode(), {"x-canary": "canary-in-a-header"}).status == 401
    assert soon(lambda: len(kept()) == 1)
    written = b"".join(file.read_bytes() for file in valkey_folder.rglob("*.aof"))
    assert written
    assert b"canary-in" not in written


def test_credentials_are_never_kept(start: Start, kept: Kept):
    """No authorization, cookie or configured header; only a digest tells them from today's."""
    secret = Header(name="X-Hook-Key", value="rowlock")
    receiver = start(apps=(rebilly_app(credential=secret),))
    bearing = {
        "authorization": "Basic Y2FuYXJ5",
        "proxy-authorization": "Basic Y2FuYXJ5",
        "cookie": "session=canary",
        "X-Hook-Key": "canary",
        "x-plain": "kept",
    }
    assert receiver.post(REBILLY_PATH, rebilly(), bearing).status == 401
    assert soon(lambda: len(kept()) == 1)
    refusal = kept()[0].refusal
    names = {name for name, _ in refusal.captured.headers}
    assert "x-plain" in names
    assert names.isdisjoint(name.lower() for name in list(bearing)[:4])
    assert refusal.credential
    assert "canary" not in str(refusal)


def test_accepted_deliveries_keep_no_credential_either(receiver: Running, desk: Desk):
    """What is captured of a good delivery has no authorization in it."""
    answer = receiver.post(REBILLY_PATH, rebilly(), BASIC | {"cookie": "session=canary"})
    entry = desk.log.find(answer.json["delivery"])
    assert entry is not None
    names = {name for name, _ in desk.log.captured(entry).headers}
    assert names.isdisjoint({"authorization", "cookie"})


def test_only_the_outer_form_of_a_configured_app_is_kept(receiver: Running, kept: Kept):
    """Neither what is malformed nor what is addressed to nobody."""
    bad = delivery(lifecycle(), owner="stranger")
    assert receiver.post(PATH, b"{}").status == 400
    assert receiver.post("/hooks/xurrent/nobody", bad).status == 404
    assert receiver.post(PATH, bad).status == 401
    assert soon(lambda: len(kept()) >= 1)
    assert [one.refusal.reason for one in kept()] == [Reason.BAD_SIGNATURE]


def test_a_flood_pushes_out_its_own_kind_alone(receiver: Running, kept: Kept):
    """At most two hundred of a reason are kept, the newest; those of other reasons stay."""
    assert receiver.post(f"{PATH}?account=nobody", delivery(lifecycle())).status == 401
    stranger = delivery(lifecycle(), owner="stranger")
    for _ in range(4):
        receiver.post_at_once(PATH, [stranger] * 60)
    last = stranger + b" "
    assert receiver.post(PATH, last).status == 401
    assert soon(lambda: any(one.refusal.captured.body == last for one in kept()))
    reasons = Counter(one.refusal.reason for one in kept())
    assert reasons == {Reason.UNKNOWN_ACCOUNT: 1, Reason.BAD_SIGNATURE: MAX_COUNT}


def test_large_ones_are_bounded_by_bytes(receiver: Running, kept: Kept):
    """Of six refusals of a megabyte at most four megabytes are kept."""
    large = delivery(lifecycle(), owner="stranger").ljust(1_000_000)
    assert [receiver.post(PATH, large).status for _ in range(6)] == [401] * 6
    assert receiver.post(PATH, large[:-1]).status == 401
    assert soon(lambda: any(len(one.refusal.captured.body) == 999_999 for one in kept()))
    assert sum(len(one.refusal.captured.body) for one in kept()) <= MAX_BYTES


def test_keeping_is_off_the_path(start: Start):
    """401 comes at once while the store hangs or is gone, for it is kept behind the answer."""
    with server() as own:
        receiver = start(store=StoreSection(url=own.url))
        own.kill()
        started = time.monotonic()
        for _ in range(20):
            assert receiver.post(PATH, delivery(lifecycle(), owner="stranger")).status == 401
        assert time.monotonic() - started < 2
        own.start()
        assert soon(lambda: receiver.post(PATH, delivery(lifecycle())).status == 202)


def test_odd_content_does_not_end_the_keeping(receiver: Running, kept: Kept):
    """Whatever a refused token holds, the next refusal is kept as well."""
    odd = [
        token(lifecycle(), iss="\ud800"),
        token(lifecycle(), header={"alg": "\ud800"}),
        token(lifecycle(), header={"alg": "x" * 100_000}),
        token(lifecycle() | {"account_id": ["\udfff", {}]}),
        token(lifecycle("app_instance.\ud800")),
        token(lifecycle(), aud={"\ud800": 1}),
        "\ud800.a.b",
    ]
    for text in odd:
        status = receiver.post(PATH, json.dumps({"jwt": text}).encode()).status
        assert status in (202, 401)
    last = delivery(lifecycle(), owner="stranger")
    assert receiver.post(PATH, last).status == 401
    assert soon(lambda: any(one.refusal.captured.body == last for one in kept()))


def test_small_ones_are_bounded_too():
    """What waits to be kept takes no more memory for being many."""
    refusals = Refusals(AsyncStore("redis://127.0.0.1:1"), KeyRing([KEY]), max_age_seconds=60)
    refusal = Refusal(at=1.0, reason=Reason.BAD_CREDENTIAL, captured=Captured(app="tides"))
    for _ in range(10_000):
        refusals.keep(InstanceKey.pseudo("rebilly", "tides"), refusal)
    assert refusals.dropped > 5000
