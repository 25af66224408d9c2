"""What the console's API takes: so much, no more, and no browser's help in getting in."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from innkeeper.store.connection import Store
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from tests.inn import Inn, key_of
from tests.store.making import transition

LISTS = ("/app_instances", "/deliveries", "/rejected", "/dead_letters")
ACME = "/app_instances/xurrent/notes/acme"


@pytest.mark.parametrize("path", [*LISTS, f"{ACME}/transitions"])
@pytest.mark.parametrize("per_page", ["0", "101", "-1", "x", "9" * 40, "1e2", ""])
def test_a_page_has_its_bounds(inn: Inn, api: TestClient, path: str, per_page: str) -> None:
    """From 1 to 100; else 400, which says so."""
    inn.states()
    answer = api.get(path, params={"per_page": per_page})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "per_page must be between 1 and 100"


def test_transitions_come_in_pages(inn: Inn, api: TestClient, store: Store) -> None:
    """All of them are reached by the links, in order; a page is of a hundred at most."""
    inn.states()
    name = keys_of(partition_of(key_of())).transitions + str(key_of())
    store.command("DEL", name)
    for number in range(1, 251):
        store.command("RPUSH", name, json.dumps(_transition(number)))
    path, seen, sizes = f"{ACME}/transitions", [], []
    while path:
        answer = api.get(path)
        assert answer.status_code == 200
        sizes.append(len(answer.json()))
        seen += [one["number"] for one in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert sizes == [100, 100, 50]
    assert seen == list(range(1, 251))
    assert len(api.get(f"{ACME}/transitions?per_page=7").json()) == 7
    for wrong in ("fields=id", "sort=id", "status=enabled", "cursor=xyz"):
        assert api.get(f"{ACME}/transitions?{wrong}").status_code == 400


@pytest.mark.parametrize("path", LISTS)
def test_a_long_question(api: TestClient, path: str) -> None:
    """8 kB are taken apart and found wrong; 17 kB are not looked at."""
    answer = api.get(f"{path}?cursor={'A' * 8000}")
    assert answer.status_code == 400
    assert len(answer.text) < 500
    answer = api.get(f"{path}?cursor={'A' * 17_000}")
    assert (answer.status_code, answer.json()["status"]) == (414, 414)
    assert answer.json()["detail"] == "the query is longer than 16384 bytes"


def test_many_filters(api: TestClient) -> None:
    """32 filters of 100 values each, and no more."""
    many = "&".join(["platform=!x"] * 32)
    assert api.get(f"/app_instances?{many}").status_code == 200
    answer = api.get(f"/app_instances?{many}&platform=!x")
    assert (answer.status_code, answer.json()["detail"]) == (
        400, "at most 32 filters can be given",
    )  # fmt: skip
    values = ",".join(["a"] * 100)
    assert api.get(f"/app_instances?customer_account={values}").status_code == 200
    answer = api.get(f"/app_instances?customer_account={values},a")
    assert (answer.status_code, answer.json()["detail"]) == (
        400, "customer_account: at most 100 values can be given",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"[" * 5000 + b"]" * 5000, 400, "the body is not JSON: nested too deeply"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, 400, "the body is not JSON: nested too deeply"),
        (b'{"disabled": true, "disabled": false}', 400, "the body is not JSON: a name is repeated"),
        (b'{"disabled": NaN}', 400, "the body is not JSON: NaN is not JSON"),
        (b"[]", 400, "the body is no JSON object"),
        (b"", 400, "the body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b" " * ((1 << 20) + 1), 413, "the body is larger than 1048576 bytes"),
    ],
    ids=["deep list", "deep object", "twice", "NaN", "a list", "empty", "huge"],
)
@pytest.mark.parametrize("path", [ACME, "/app_offerings/1"])
def test_bodies_have_their_bounds(
    inn: Inn, api: TestClient, path: str, body: bytes, status: int, detail: str
) -> None:
    """What is wrong with a body is said, and the body not repeated."""
    inn.states()
    answer = api.patch(path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == detail


@pytest.mark.parametrize("path", [*LISTS, "/metrics"])
@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": "token=token-1; authorization=Bearer token-1; session=token-1"},
        {"host": "127.0.0.1:8001", "origin": "http://evil.example"},
        {"host": "evil.example", "referer": "http://127.0.0.1:8001/"},
    ],
    ids=["cookies", "another origin", "a rebound name"],
)
def test_a_browser_alone_gets_nothing(api: TestClient, path: str, headers: dict[str, str]) -> None:
    """A page of somebody else's that makes a browser ask us has no token to send: there is no
    cookie, no other way to sign in, and no word that lets a page read an answer."""
    del api.headers["authorization"]
    for answer in (api.get(path, headers=headers), api.post(path, headers=headers)):
        assert answer.status_code == 401
    answer = api.get(path, headers={**headers, "authorization": "Bearer token-1"})
    assert answer.status_code == 200
    told = {name for name in answer.headers if name.startswith(("access-control", "set-cookie"))}
    assert told == set()
    asked = api.options(path, headers={**headers, "access-control-request-method": "POST"})
    assert asked.status_code == 401


def _transition(number: int) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(transition(number))
    return found
