"""`/app_instances` over HTTP."""

from __future__ import annotations

from urllib.parse import quote

from starlette.testclient import TestClient

from tests.inn import CANARY, Inn, brings_secrets, rebilly, states

DEFAULT = {
    "id", "platform", "app_offering", "customer_account", "status", "enabled_by_customer",
    "disabled", "suspended", "suspension_comment", "confirmed", "version", "created_at",
    "updated_at", "marketplace_id", "nodeID",
}  # fmt: skip


def follow(api: TestClient, path: str) -> list[list[str]]:
    """The ids of each page, by its links."""
    pages = []
    while path:
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        pages.append([one["id"] for one in answer.json()])
        path = answer.links.get("next", {}).get("url", "")
    return pages


def test_a_list_has_the_default_fields(inn: Inn, api: TestClient) -> None:
    """All but custom fields and facts; a flag that a marketplace lacks is null."""
    inn.post(rebilly())
    inn.states("acme")
    notes, tides = sorted(api.get("/app_instances").json(), key=lambda one: one["platform"])[::-1]
    assert set(notes) == DEFAULT
    assert notes["id"] == "xurrent/notes/acme"
    assert notes["app_offering"] == {"reference": "notes"}
    assert notes["customer_account"] == {"id": "acme", "name": None}
    assert (notes["status"], notes["disabled"], notes["confirmed"]) == ("enabled", False, True)
    assert (tides["suspended"], tides["enabled_by_customer"]) == (None, None)


def test_pages_are_linked_and_keep_the_question(inn: Inn, api: TestClient) -> None:
    """The link to the next page repeats the question; the last page has none."""
    for n in range(5):
        inn.post(states(f"a{n}"))
    inn.post(states("shut", disabled=True))
    inn.apply()
    pages = follow(api, "/app_instances?per_page=2&status=enabled&fields=id&sort=-id")
    expected = [f"xurrent/notes/a{n}" for n in (4, 3, 2, 1, 0)]
    assert pages == [expected[:2], expected[2:4], expected[4:]]
    assert follow(api, "/app_instances/disabled?fields=id") == [["xurrent/notes/shut"]]
    assert len(follow(api, "/app_instances/enabled?per_page=1&fields=id")) == 5


def test_one_instance_by_three_segments_or_one(inn: Inn, api: TestClient) -> None:
    """The same document; what is not there is 404."""
    inn.states("acme")
    whole = api.get("/app_instances/xurrent/notes/acme").json()
    assert set(whole) == DEFAULT
    single = quote("xurrent/notes/acme", safe="")
    assert api.get(f"/app_instances/{single}").json() == whole
    some = api.get("/app_instances/xurrent/notes/acme?fields=status,facts").json()
    assert set(some) == {"status", "facts"}
    assert api.get("/app_instances/xurrent/notes/nobody").status_code == 404
    assert api.get("/app_instances/xurrent").status_code == 404
    assert api.get("/app_instances/xurrent/notes/acme?sort=id").status_code == 400
    assert api.get("/app_instances/xurrent/notes/acme?status=enabled").status_code == 400


def test_transitions_are_told_in_order(inn: Inn, api: TestClient) -> None:
    """What happened to an instance, oldest first."""
    inn.states("acme")
    inn.states("acme", suspended=True)
    inn.states("acme")
    found = api.get("/app_instances/xurrent/notes/acme/transitions").json()
    names = ["installed", "enabled", "suspended", "resumed"]
    assert [one["name"] for one in found] == names
    assert [one["number"] for one in found] == [1, 2, 3, 4]
    assert found[2]["to_status"] == "suspended"
    assert api.get("/app_instances/xurrent/notes/nobody/transitions").status_code == 404


def test_the_former_vocabulary(inn: Inn, api: TestClient) -> None:
    """`integration` stands for `app_offering` in documents, fields and filters."""
    inn.states("acme")
    root = "/integration_instances"
    (one,) = api.get(f"{root}?integration=notes&fields=id,integration").json()
    assert one == {"id": "xurrent/notes/acme", "integration": {"reference": "notes"}}
    assert "integration" in api.get(f"{root}/xurrent/notes/acme").json()
    assert api.get(f"{root}/enabled").json()[0]["integration"] == {"reference": "notes"}
    assert api.get(f"{root}?app_offering=notes").status_code == 400
    assert api.get("/app_instances?integration=notes").status_code == 400


def test_secrets_are_in_no_answer(inn: Inn, api: TestClient) -> None:
    """Neither in the register, nor in a delivery, nor in a dead letter's traceback."""
    inn.post(brings_secrets("acme", owner="acme"))
    inn.post(rebilly())
    inn.states("acme", suspended=True)
    inn.perform()
    inn.perform()
    paths = ["/app_instances?fields=id,facts,custom_fields", "/deliveries", "/dead_letters"]
    paths += [f"/deliveries/{one['id']}" for one in api.get("/deliveries").json()]
    assert len(paths) == 6
    for path in paths:
        answer = api.get(path)
        assert answer.status_code == 200
        assert CANARY not in answer.text
    assert api.get("/dead_letters").json()[0]["name"] == "fail"
