"""The marketplaces' clients: whatever an API answers, what was found or an ApiError."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from innkeeper.config import RebillyApi, XandrApi, XandrApp, XurrentApi
from innkeeper.outgoing import Outgoing
from innkeeper.platforms import client_of
from innkeeper.platforms.api_errors import ApiError
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.tokens import Tokens
from tests.conftest import KEY
from tests.deliveries import rebilly_app, xurrent_app
from tests.fuzz.effort import effort
from tests.fuzz.test_documents import FOUND
from tests.fuzz.words import altered, damaged, values, written
from tests.platforms.apis import Api
from tests.sites import reply, site

STATUSES = ("200 OK", "200 OK", "200 OK", "204 No Content", "303 See Other", "400 Bad Request",
            "401 Unauthorized", "404 Not Found", "429 Too Many", "500 Oh")  # fmt: skip
PATHS = {
    "xurrent": ("/app_instances", "/integration_instances", "/app_instances/7"),
    "rebilly": ("/applications/app_desk/instances", "/applications/app_desk/instances/org_1"),
    "xandr": ("/app-installation", "/auth"),
}
SECRET = "whelk-under-the-pier"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """An API on loopback."""
    with site() as running:
        yield Api(running)


@pytest.fixture(scope="module")
def tokens(valkey_url: str) -> Iterator[Tokens]:
    """Where tokens are kept."""
    store = Store(valkey_url)
    yield Tokens(store, KeyRing([KEY]))
    store.close()


def _open(platform: str, url: str, tokens: Tokens) -> Any:
    apis: dict[str, Any] = {
        "xurrent": lambda: xurrent_app(
            api=XurrentApi(base_url=url, oauth_url=f"{url}/oauth", token=SECRET)
        ),
        "rebilly": lambda: rebilly_app(api=RebillyApi(base_url=url, api_key=SECRET)),
        "xandr": lambda: XandrApp(
            name="reef", reference="20", api=XandrApi(base_url=url, username="u", password=SECRET)
        ),
    }
    opened = client_of(platform).open_client
    return opened(replace(apis[platform]()), Outgoing(), tokens, now=time.time)


def _told(ask: Callable[[], object]) -> str:
    """The error that a question gives; empty where it gives none."""
    try:
        ask()
    except ApiError as error:
        return str(error)
    return ""


@st.composite
def pages(draw: st.DrawFn, platform: str) -> bytes:
    """An answer to a question for a list or for one of its elements."""
    elements = draw(st.lists(altered(FOUND[platform], most=1), max_size=2))
    whole = written(draw(_page(platform, elements)))
    body = draw(st.just(whole) | damaged(whole, most=1))
    count = draw(st.sampled_from([str(len(elements)), "0", "9", "x"]))
    totals = (f"X-Pagination-Total-Entries: {count}", f"Pagination-Total: {count}")
    return reply(draw(st.sampled_from(STATUSES)), body, *totals)


def _page(platform: str, elements: list[Any]) -> st.SearchStrategy[Any]:
    if platform != "xandr":
        one = elements[0] if elements else {}
        return st.just(elements) | st.just(one) | values
    sound: dict[str, Any] = {"status": "OK", "count": len(elements), "token": "t0ken"}
    sound |= {"app-installations": elements, "start_element": 0, "num_elements": 100}
    return altered({"response": sound}, most=1)


@pytest.mark.parametrize("platform", PATHS)
def test_any_answer_of_an_api(api, tokens, platform):
    """A list and one element of it: found, not found, or an ApiError that quotes no secret."""
    client = _open(platform, api.url, tokens)
    account = {"xurrent": "lighthouse", "rebilly": "org_1", "xandr": "member:238"}[platform]

    @effort(30)
    @given(st.lists(pages(platform), min_size=1, max_size=2))
    def asks(replies):
        for path in PATHS[platform]:
            api.answers(path, *replies)
        for ask in (
            lambda: [found for page in client.instances(pass_number=3) for found in page],
            lambda: client.instance(account, "7"),
        ):
            assert SECRET not in _told(ask)

    asks()
    assert json.dumps(api.paths)
