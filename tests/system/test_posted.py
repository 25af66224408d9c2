"""Posted follow-ups, as the vendor's own service gets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from tests.processes import soon
from tests.system.conftest import POST_SECRET, POSTS
from tests.system.listening import Listener, Posted, accept
from tests.system.running import Inn


@pytest.fixture(autouse=True)
def _accepting(listener: Listener) -> Iterator[None]:
    """Whatever a test had the listener answer, afterwards it takes all."""
    yield
    listener.judge = accept


def test_it_is_signed_and_of_the_contracts_form(shared, listener):
    """A post bears a sound signature and the body of the contract, without any secret."""
    shared.hook("xurrent/posts", POSTS.create("steady", 1))
    (posted,) = listener.about("xurrent/posts/steady", 1)
    Webhook(POST_SECRET).verify(posted.body, posted.headers)
    document = posted.document
    assert document["type"] == "instance.enabled"
    assert document["timestamp"].endswith("Z")
    assert document["data"]["transition"].keys() == {
        "id", "name", "from_status", "to_status", "at", "cause", "delivery",
    }  # fmt: skip
    assert document["data"]["transition"]["to_status"] == "enabled"
    assert document["data"]["instance"] == shared.get("/app_instances/xurrent/posts/steady")


def test_tried_again_it_keeps_its_key(shared, listener):
    """503 twice, then 200: three posts under the same idempotency key, and it is done."""

    def judge(posted: Posted, times: int) -> tuple[int, dict[str, str]]:
        return (503, {"retry-after": "1"}) if times < 3 else (200, {})

    listener.judge = judge
    shared.hook("xurrent/posts", POSTS.create("shaky", 1))
    posts = listener.about("xurrent/posts/shaky", 3)
    assert len({one.headers["webhook-id"] for one in posts}) == 1
    assert len({one.document["data"]["transition"]["id"] for one in posts}) == 1
    for one in posts:
        Webhook(POST_SECRET).verify(one.body, one.headers)
    assert soon(lambda: _states(shared, "shaky") == ["done"])
    assert len(listener.about("xurrent/posts/shaky", 3)) == 3


def test_a_permanent_one_is_a_dead_letter_until_it_is_requeued(shared, listener):
    """400: a dead letter at once; the lane goes on; requeued by command or API, it is done."""
    listener.judge = lambda posted, times: (400, {})
    shared.hook("xurrent/posts", POSTS.create("closed", 1))
    shared.hook("xurrent/posts", POSTS.update("closed", 2, suspended=True))
    listener.about("xurrent/posts/closed", 2)
    assert soon(lambda: _states(shared, "closed") == ["dead", "dead"])
    letters = [
        one for one in shared.told("dead-letters") if one["instance"] == "xurrent/posts/closed"
    ]
    assert [one["attempts"] for one in letters] == [1, 1]
    assert all("400" in one["error"] for one in letters)
    listener.judge = accept
    shared.told("dead-letters", "requeue", letters[0]["id"])
    answer = shared.api(f"/dead_letters/{letters[1]['id']}/requeue", "POST")
    assert answer.status == 202
    keys = [one.headers["webhook-id"] for one in listener.about("xurrent/posts/closed", 4)]
    assert sorted(keys[:2]) == sorted(keys[2:])
    assert soon(lambda: _states(shared, "closed") == ["done", "done"])
    left = [one["instance"] for one in shared.get("/dead_letters")]
    assert "xurrent/posts/closed" not in left


def _states(inn: Inn, customer: str) -> list[str]:
    """How far the follow-ups of a customer have come, in order."""
    told = inn.told("explain", f"xurrent/posts/{customer}")
    return [one["state"] for step in told["transitions"] for one in step["follow_ups"]]
