"""The receiver as a whole: whatever comes, an answer of the table; only what is proven stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from innkeeper.config import Config, QueueSection, ReceiverSection, StoreSection
from innkeeper_receiver.app import Receiver
from tests.conftest import KEY
from tests.deliveries import BASIC, CUSTOMER, PATH, REBILLY_PATH, delivery, rebilly_app, xurrent_app
from tests.fuzz.arriving import bodies, data, queries
from tests.fuzz.asking import Answer, ask
from tests.fuzz.effort import effort
from tests.fuzz.words import damaged, headers, texts, values, written
from tests.processes import soon

STATUSES = {200, 202, 400, 401, 404, 405, 408, 413, 415}
"""All that the contract has, but for 503: the store is there."""
MOST = 4096
paths = st.one_of(
    st.sampled_from([PATH, REBILLY_PATH, "/hooks/rebilly", "/hooks/xurrent", "/hooks/xandr/reef",
                     "/hooks/xurrent/", f"{PATH}/", "//", "/hooks/../health/live", "/hooks", "*"]),
    st.text(max_size=12).map(lambda text: f"/hooks/xurrent/{text}"),
    st.text(max_size=12).map(lambda text: f"/{text}"),
)  # fmt: skip
proven = data.map(lambda said: delivery(said))


@pytest.fixture(scope="module")
def receiver(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A receiver with an app on each marketplace that sends anything, and small bodies."""
    config = _config(tmp_path_factory.mktemp("fuzz"), valkey_url)
    with TestClient(Receiver(config).app) as client:
        assert soon(lambda: ask(client, "GET", "/health/ready").status == 200)
        yield client


def _config(data_folder: Path, url: str) -> Config:
    return Config(
        data=data_folder,
        store=StoreSection(url=url),
        queue=QueueSection(url=url),
        receiver=ReceiverSection(max_body=MOST),
        apps=(xurrent_app(), rebilly_app()),
        secret_keys=(KEY,),
        api_tokens=("open-sesame",),
    )


def is_of_the_table(answer: Answer) -> bool:
    """Whether an answer is one that the contract knows."""
    if answer.status in (200, 202):
        return answer.headers["content-type"] == "application/json"
    return answer.status in STATUSES and answer.is_problem


@effort(200)
@given(
    st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "OPTIONS", "TRACE", "ŤĚST"]),
    paths,
    queries.map(lambda text: text.encode("latin-1")),
    headers,
    st.lists(bodies | st.binary(max_size=2 * MOST), max_size=3),
)
def test_whatever_comes_is_answered_by_the_table(receiver, method, path, query, stated, pieces):
    """A known status, and problem+json for every error; without proof nothing is taken."""
    answer = ask(receiver, method, path, query=query, headers=stated, pieces=pieces)
    assert is_of_the_table(answer), answer
    assert answer.status not in (200, 202)


@effort(120)
@given(proven | damaged(delivery({"event": "automation_rule"}), most=1), queries, headers)
def test_what_the_provider_signs_is_answered_by_the_table(receiver, body, query, stated):
    """Whatever stands in a signed token, and around it."""
    kept = [pair for pair in stated if pair[0] not in ("content-length", "content-encoding")]
    answer = ask(receiver, "POST", PATH, query=query.encode("latin-1"), headers=kept, pieces=[body])
    assert is_of_the_table(answer), answer


@effort(100)
@given(bodies, queries, headers)
def test_what_bears_the_credential_is_answered_by_the_table(receiver, body, query, stated):
    """Whatever bears Rebilly's credential."""
    kept = [pair for pair in stated if pair[0] not in ("content-length", "content-encoding")]
    kept = [pair for pair in kept if pair[0] != "authorization"] + list(BASIC.items())
    answer = ask(
        receiver, "POST", REBILLY_PATH, query=query.encode("latin-1"), headers=kept, pieces=[body]
    )
    assert is_of_the_table(answer), answer


@effort(100)
@given(st.text(max_size=8), texts.map(written) | values.map(written), st.data())
def test_no_one_s_key_is_known(receiver, name, body, drawn):
    """A customer that nobody knows is refused like a wrong signature, whatever its name."""
    said = drawn.draw(st.sampled_from([name, CUSTOMER, "../x", "x" * 65]))
    query = f"account={said}".encode("utf-8", "replace")
    answer = ask(receiver, "POST", PATH, query=query, pieces=[delivery({"event": "x"})])
    assert answer.status == 401 if query != b"account=" else answer.status in (401, 202)
    assert ask(receiver, "POST", PATH, query=query, pieces=[body]).status in (400, 401)


@effort(60)
@given(st.sampled_from(["content-length", "content-encoding", "transfer-encoding"]), texts)
def test_no_header_about_the_body_is_an_error_of_ours(receiver, name, value):
    """However odd, the answer is one of the table."""
    value = value.encode("latin-1", "replace").decode("latin-1")
    for stated in (value, "9" * 5000, "-1", "1e3", "gzip", "identity, br", "\u00b2"):
        answer = ask(receiver, "POST", PATH, headers=[(name, stated)], pieces=[b"{}"])
        assert is_of_the_table(answer), answer
