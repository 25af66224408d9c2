"""The handshake: a callback is called back, and nobody but the marketplace is ever called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from innkeeper.bells import BellName
from innkeeper.config import OutgoingSection
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import LaneKind
from innkeeper.store.partitions import partition_of
from innkeeper_workers import handshake
from innkeeper_workers.performing import Performing
from tests.lifecycle.telling import KEY
from tests.sites import Reply, Site, make_certificate, reply, site
from tests.workers.conftest import Inn, MakeInn

pytestmark = pytest.mark.timeout(60, method="thread")

PROVIDER = InstanceKey.pseudo("market", "tides")
PATH = "/webhooks/7/verify?code=c0de"


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The marketplace: a TLS site whose certificate is trusted by clients made afterwards."""
    trusted, tls = make_certificate(tmp_path, "127.0.0.1", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with site(tls) as running:
        running.replies[PATH] = reply("200 OK")
        yield running


Shake = Callable[..., tuple[str, str]]


@pytest.fixture
def shake(make_inn: MakeInn, market: Site) -> Shake:
    """Asks for a handshake and does it; the state of the work, and the error."""

    def run(
        callback: str = "", key: InstanceKey = PROVIDER, *, host: str = "", allowed: bool = True
    ) -> tuple[str, str]:
        here = f"127.0.0.1:{market.port}"
        outgoing = OutgoingSection(allow_hosts=(here,) if allowed else ())
        inn = make_inn(outgoing=outgoing)
        inn.tell(
            Event(
                type="webhook.verify",
                kind=EventKind.HANDSHAKE,
                callback=callback or f"https://{here}{PATH}",
                callback_host=host or here,
            ),
            key=key,
        )
        assert do(inn) == 1
        (work,) = inn.works(key)
        return work.state, work.error

    return run


def do(inn: Inn) -> int:
    """Do what is due for marketplaces."""
    performing, done = Performing(inn.desk, BellName.MARKETPLACES, handshake.task_of), 0
    while performing.look():
        done += 1
    return done


@pytest.mark.parametrize("key", [PROVIDER, KEY])
def test_the_callback_is_called(shake: Shake, market: Site, key: InstanceKey):
    """Once, with GET, its query as it is; 200 means that it is done."""
    assert shake(key=key) == ("done", "")
    assert market.requests[0].startswith(f"GET {PATH} HTTP/1.1\r\n".encode())
    assert len(market.requests) == 1


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (reply("404 Not Found"), "dead"),
        (reply("403 Forbidden"), "dead"),
        (reply("302 Found", b"", "Location: /elsewhere"), "dead"),
        (reply("500 Oops"), "later"),
        (reply("503 Busy", b"", "Retry-After: 60"), "later"),
        (b"not HTTP\r\n\r\n", "later"),
    ],
)
def test_what_the_marketplace_may_answer(shake: Shake, market: Site, answer: Reply, state: str):
    """What a later try may mend is tried again; a redirect is not followed."""
    market.replies[PATH] = answer
    assert shake()[0] == state
    assert market.paths == [PATH]


@pytest.mark.parametrize(
    "callback",
    [
        "https://attacker.example/webhooks/7/verify",
        "https://127.0.0.1/webhooks/7/verify",
        "https://127.0.0.1:1/webhooks/7/verify",
        "https://user@127.0.0.1:{port}/webhooks/7/verify",
        "https://127.0.0.1:{port}.attacker.example/",
        "https://localhost:{port}/webhooks/7/verify?code=c0de",
        "ftp://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "verify",
        "",
    ],
)
def test_nobody_else_is_called(shake: Shake, market: Site, callback: str):
    """A callback that leads anywhere but to the verified issuer's host is given up at once."""
    state, error = shake(callback.format(port=market.port) or " ")
    assert state == "dead"
    assert "Permanent" in error
    assert market.requests == []


def test_private_addresses_are_not_called(shake: Shake, market: Site):
    """Not even the issuer's own host, unless an operator allows it."""
    state, error = shake(allowed=False)
    assert (state, market.requests) == ("dead", [])
    assert "no public address" in error


def test_http_is_not_called(shake: Shake, market: Site):
    """Without TLS nobody knows whom one calls; a host that nobody allows is not even looked up."""
    state, error = shake(f"http://127.0.0.1:{market.port}{PATH}", allowed=False)
    assert (state, market.requests) == ("dead", [])
    assert "Permanent" in error


@pytest.mark.parametrize(("expires", "state"), [(-60, "dead"), (3600, "later")])
def test_an_expired_callback_is_given_up(shake: Shake, market: Site, expires: float, state: str):
    """Where nobody answers, and the callback says that its time is over."""
    market.close()
    until = int(time.time() + expires)
    callback = f"https://127.0.0.1:{market.port}/verify?code=c&expires_at={until}"
    assert shake(callback)[0] == state


def test_a_delivery_that_is_gone_is_given_up(make_inn: MakeInn):
    """The callback stands in the log alone."""
    inn = make_inn()
    event = Event(
        type="webhook.verify", kind=EventKind.HANDSHAKE, callback="https://a/", callback_host="a"
    )
    inn.tell(event, key=PROVIDER)
    inn.desk.store.command("XTRIM", keys_of(partition_of(PROVIDER)).log, "MAXLEN", 0)
    assert do(inn) == 1
    (work,) = inn.works(PROVIDER)
    assert (work.state, work.work.lane) == ("dead", LaneKind.PLATFORM)
    assert "no longer kept" in work.error
