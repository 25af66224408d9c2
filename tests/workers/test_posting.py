"""Posted follow-ups: signed, without secrets, and tried again where that can help."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from innkeeper.bells import BellName
from innkeeper.config import FollowUp
from innkeeper.lifecycle.transitions import Transition
from innkeeper_workers.perform import task_of
from innkeeper_workers.performing import Performing
from tests.lifecycle.telling import KEY, brings, states
from tests.sites import Reply, Site, reply, site
from tests.workers.conftest import Inn, MakeInn

pytestmark = pytest.mark.timeout(60, method="thread")

SECRET = "whsec_" + "c2lnbmVkLXdpdGgtdGhpcy1rZXktb2Ytb3Vycw=="


@pytest.fixture
def vendor() -> Iterator[Site]:
    """The vendor's own service."""
    with site() as running:
        running.replies["/innkeeper"] = reply("204 No Content")
        yield running


@pytest.fixture
def inn(make_inn: MakeInn, vendor: Site) -> Inn:
    """An inn that posts there."""
    return make_inn(posted(f"http://127.0.0.1:{vendor.port}/innkeeper"))


def posted(url: str) -> FollowUp:
    """A follow-up that posts to a URL."""
    return FollowUp(name="tell", on=("enabled",), post=url, secret=SECRET, timeout=1.0)


def after(inn: Inn, vendor: Site, answer: Reply) -> str:
    """The state of the work once the vendor has answered so."""
    vendor.replies["/innkeeper"] = answer
    inn.tell(states(1))
    assert inn.perform() == 1
    return inn.works()[0].state


def the_enabled(inn: Inn) -> Transition:
    """The transition that set it off."""
    return inn.desk.register.transitions(KEY)[-1]


def test_the_post_is_as_the_contract_says(inn: Inn, vendor: Site):
    """Method, path, headers and body; nothing of the customer's secrets."""
    inn.tell(brings(1, {"application.client_secret": "canary"}), states(2))
    assert inn.perform() == 1
    (request,) = vendor.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /innkeeper HTTP/1.1\r\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    headers = {name.lower(): value for name, value in lines}
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == inn.works()[0].work.id
    document = json.loads(body)
    assert set(document) == {"type", "timestamp", "data"}
    assert document["type"] == "instance.enabled"
    assert document["timestamp"].endswith("Z")
    assert set(document["data"]) == {"transition", "instance"}
    assert document["data"]["transition"]["id"] == the_enabled(inn).id
    assert document["data"]["instance"]["id"] == str(KEY)
    assert b"canary" not in request


def test_the_signature_can_be_verified(inn: Inn, vendor: Site):
    """With the library of Standard Webhooks; at every try with the same id and a fresh time."""
    assert after(inn, vendor, reply("500 Oops")) == "later"
    inn.hurry()
    assert inn.perform() == 1
    assert len(vendor.requests) == 2
    ids = set()
    for request in vendor.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
        headers = {name.lower(): value for name, value in lines}
        Webhook(SECRET).verify(body, headers)
        ids.add(headers["webhook-id"])
    assert ids == {inn.works()[0].work.id}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("200 OK", "done"),
        ("202 Accepted", "done"),
        ("204 No Content", "done"),
        ("301 Moved", "dead"),
        ("302 Found", "dead"),
        ("400 Bad Request", "dead"),
        ("401 Unauthorized", "dead"),
        ("404 Not Found", "dead"),
        ("409 Conflict", "dead"),
        ("410 Gone", "dead"),
        ("422 Unprocessable", "dead"),
        ("408 Request Timeout", "later"),
        ("425 Too Early", "later"),
        ("429 Too Many Requests", "later"),
        ("500 Internal Server Error", "later"),
        ("502 Bad Gateway", "later"),
        ("503 Service Unavailable", "later"),
        ("504 Gateway Timeout", "later"),
    ],
)
def test_what_an_answer_means(inn: Inn, vendor: Site, status: str, state: str):
    """2xx is done; 408, 425, 429 and 5xx are tried again; all else, redirects too, is given up."""
    location = f"Location: http://127.0.0.1:{vendor.port}/elsewhere"
    assert after(inn, vendor, reply(status, b"", location)) == state
    assert vendor.paths == ["/innkeeper"]
    assert len(inn.desk.dead_letters.newest(5)) == (state == "dead")


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("40", 40),
        ("0.5", 0.5),
        (60.0, 60),
        ("86400", 3600),
        (86400.0, 3600),
        ("inf", 3600),
        ("nan", 5),
        ("later", 5),
        ("-7", 0),
        (-60.0, 0),
        ("Sunday", 5),
    ],
)
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_is_honoured(
    inn: Inn, vendor: Site, status: str, stated: str | float, seconds: float
):
    """Seconds and dates (here: numbers), at most an hour; what cannot be read is not there."""
    if isinstance(stated, float):
        stated = format_datetime(datetime.now(UTC) + timedelta(seconds=stated), usegmt=True)
    vendor.replies["/innkeeper"] = reply(status, b"", f"Retry-After: {stated}")
    inn.tell(states(1))
    assert Performing(inn.desk, BellName.PERFORM, task_of).look()
    due = inn.due_in()
    assert due is not None
    assert seconds - 3 < due <= seconds + 0.1


def slowly(connection: socket.socket) -> None:
    """Take longer than a follow-up may."""
    time.sleep(1.5)


def cut_off(connection: socket.socket) -> None:
    """Break off in the middle of an answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@pytest.mark.parametrize("answer", [slowly, cut_off, b"not HTTP\r\n\r\n", b""])
def test_no_whole_answer_is_tried_again(inn: Inn, vendor: Site, answer: Reply):
    """Too slow, cut off or no HTTP: whether it had an effect is unknown."""
    assert after(inn, vendor, answer) == "later"


def test_nobody_there_is_tried_again(make_inn: MakeInn, vendor: Site):
    """A connection that is refused may well be taken in a minute."""
    vendor.close()
    inn = make_inn(posted(f"http://127.0.0.1:{vendor.port}/innkeeper"))
    inn.tell(states(1))
    inn.perform()
    assert inn.works()[0].state == "later"


def test_what_our_rules_forbid_is_given_up(make_inn: MakeInn):
    """http to a host that is neither loopback nor allowed: a dead letter, nothing is sent."""
    inn = make_inn(posted("http://internal.example/innkeeper"))
    inn.tell(states(1))
    inn.perform()
    (letter,) = inn.desk.dead_letters.newest(5)
    assert "http is only for loopback" in letter.error
