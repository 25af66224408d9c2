"""The console's API: whatever is asked, an answer or a problem that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.lifecycle.order import OrderKey, OrderKind
from innkeeper.operations.filters import read_filter
from innkeeper.operations.questions import BadQuestion, read_cursor, take_apart, write_cursor
from innkeeper.store.entry import new_delivery_id, raw_id
from innkeeper.store.partitions import PARTITIONS, partition_in, partition_of
from innkeeper_console.api import create_app
from tests.fuzz.asking import ask
from tests.fuzz.effort import effort
from tests.fuzz.inns import inn_on
from tests.fuzz.words import altered, damaged, headers, texts, values, written
from tests.inn import APPS, FOLLOW_UPS, brings_secrets, handshake, rebilly, states

TOKEN, SECRETS_TOKEN = "open-sesame", "open-the-safe"
BEARER = [("authorization", f"Bearer {TOKEN}")]
STATUSES = {200, 202, 400, 403, 404, 405, 409, 413, 422}
FILTERS = ("id", "status", "disabled", "created_at", "updated_at", "app_offering", "confirmed")
LISTS = (
    "/app_instances", "/app_instances/enabled", "/integration_instances/disabled", "/deliveries",
    "/rejected", "/dead_letters", "/app_instances/xurrent/notes/acme", "/app_offerings",
)  # fmt: skip
plain = st.text(max_size=10)
names = st.one_of(
    st.sampled_from(["fields", "sort", "per_page", "cursor", "app", "instance", "mark", "outcome",
                     "integration", *FILTERS]),
    plain,
)  # fmt: skip
said = st.one_of(
    st.sampled_from(["id", "-created_at", "updated_at", "20", "0", "-1", "9" * 30, "٣", "true",
                     "!enabled", ">=", "<=2026-01-01", ">=0001-01-01T00:00:00+23:59", "null",
                     ">=9999-12-31T23:59:59.999999-23:59", ",", "!", "xurrent/notes/acme",
                     "2026-W01-1", "20260101T000000Z", "\0"]),
    st.lists(values, max_size=3).map(lambda place: _cursor(place)),
    st.text(max_size=20),
)  # fmt: skip
segments = st.one_of(
    st.sampled_from(["app_instances", "integration_instances", "deliveries", "rejected", "replay",
                     "dead_letters", "requeue", "xurrent", "notes", "acme", "transitions", "..",
                     "secrets", "health", "app_offerings", "%2F", "0-00000000-0000-7000-8000-00"]),
    plain.map(lambda text: text.replace("/", "")),
)  # fmt: skip


def _cursor(place: list[Any]) -> str:
    try:
        return write_cursor(*place)
    except UnicodeEncodeError:
        return "e30"


@pytest.fixture(scope="module")
def api(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The API over a store that holds a few things."""
    more = {"api_tokens": (TOKEN,), "secrets_token": SECRETS_TOKEN}
    folder = tmp_path_factory.mktemp("fuzz")
    with inn_on(valkey_url, folder, apps=APPS, follow_ups=FOLLOW_UPS, **more) as inn:
        for account in ("acme", "b-b", "c_c"):
            inn.post(states(account))
        inn.post(brings_secrets())
        inn.post(handshake())
        inn.post(rebilly())
        inn.apply()
        with TestClient(create_app(inn.desk)) as client:
            yield client


@effort(200)
@given(st.sampled_from(LISTS), st.lists(st.tuples(names, said), max_size=4))
def test_any_question_is_answered_or_told_what_is_wrong(api, path, pairs):
    """200, or 400 with problem+json, for any filter, field, sort, page and cursor."""
    answer = ask(api, "GET", path, query=urlencode(pairs).encode(), headers=BEARER)
    assert answer.status in (200, 400, 404) or (path == "/app_offerings" and answer.status < 500)
    assert answer.status == 200 or answer.is_problem


@effort(200)
@given(
    st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"]),
    st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts)),
    st.one_of(values, altered({"suspended": True, "custom_fields": {}})).map(written)
    | st.binary()
    | damaged(b'{"suspended":true}'),
)
def test_any_path_and_body_is_answered(api, method, path, body):
    """Never an error of ours, and every error is problem+json."""
    answer = ask(api, method, path, headers=BEARER, pieces=[body])
    assert answer.status in STATUSES, answer
    assert answer.status < 300 or method == "HEAD" or answer.is_problem, answer


@effort(150)
@given(headers, st.text(st.characters(max_codepoint=255), max_size=20), st.sampled_from(LISTS))
def test_no_other_token_opens(api, stated, token, path):
    """401, with nothing but that."""
    for value in (token, f"Bearer {token}", f"bearer  {TOKEN}x", f"Bearer {SECRETS_TOKEN}"):
        answer = ask(api, "GET", path, headers=[*stated, ("authorization", value)])
        assert answer.status == 401
        assert answer.is_problem


@effort(200)
@given(names, said | st.text())
def test_any_filter_is_read_or_told_what_is_wrong(name, value):
    """A filter, or BadQuestion."""
    try:
        read_filter(name, value)
        take_apart([(name, value), ("per_page", value)])
    except BadQuestion:
        return


@effort(200)
@given(st.text(st.characters(), max_size=40) | said)
def test_any_cursor_is_read_or_told_what_is_wrong(text):
    """A place of the shape asked for, or BadQuestion."""
    for shape in (tuple[str, int, str], tuple[int, int, int]):
        try:
            found = read_cursor(text, shape)
        except BadQuestion:
            continue
        assert read_cursor(write_cursor(*found), shape) == found


@effort(200)
@given(texts.map(lambda text: text.replace("/", "") or "x"), plain, texts)
def test_an_instance_s_name_reads_back(platform, app, account):
    """Whatever its account holds, slashes too; what lacks a part is a ValueError."""
    app = app.replace("/", "") or "y"
    key = InstanceKey(platform, app, account or "z")
    assert InstanceKey.parse(str(key)) == key
    for text in (account, f"{platform}/{app}", f"/{app}/{account}"):
        try:
            found = InstanceKey.parse(text)
        except ValueError:
            continue
        assert str(found) == text


@effort(150)
@given(plain, st.floats(0, 4e9), st.text(st.characters(), max_size=50))
def test_a_delivery_s_id_reads_back(account, now, text):
    """Its partition and its bytes; any other text is one of them too, or a ValueError."""
    key = InstanceKey("xurrent", "notes", account or "z")
    delivery = new_delivery_id(key, now=now)
    assert partition_in(delivery) == partition_of(key)
    assert len(raw_id(delivery)) == 16
    for odd in (text, f"{text}-{delivery}", f"7-{text}", delivery + text, delivery[:-1]):
        try:
            assert partition_in(odd) in PARTITIONS
            assert len(raw_id(DeliveryId(odd))) == 16
        except ValueError:
            continue


@effort(100)
@given(st.sampled_from(OrderKind), st.integers())
def test_an_order_key_reads_back(kind, value):
    """As it is written."""
    word, _, number = str(OrderKey(kind, value)).partition(":")
    assert OrderKey(OrderKind(word), int(number)) == OrderKey(kind, value)
