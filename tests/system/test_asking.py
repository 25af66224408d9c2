"""Asking: the console's API, and the command line beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import quote

import pytest

from tests.system.conftest import LIST
from tests.system.speaking import Sender

COUNT = 250
OURS = "app_offering=list"
NAMES = [f"guest-{number:03}" for number in range(COUNT)]
SUSPENDED, DISABLED = NAMES[3::10], NAMES[7::10]


@pytest.fixture(scope="module")
def guests(shared):
    """The shared inn with 250 instances of one app: of ten, one suspended and one disabled."""

    def send(names: list[str]) -> None:
        with closing(Sender(shared.url_of_hook("xurrent/list"))) as sender:
            for name in names:
                flags = {"suspended": name in SUSPENDED, "disabled": name in DISABLED}
                assert sender.send(LIST.create(name, 1, **flags)).status == 202

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, (NAMES[number::4] for number in range(4))))
    shared.until_folded(20)
    return shared


@pytest.mark.parametrize("token", ["", "not-the-token"], ids=["none", "wrong"])
@pytest.mark.parametrize(
    "path", ["/app_instances", "/deliveries", "/rejected", "/dead_letters", "/metrics", "/nothing"]
)
def test_without_the_token_nothing_is_told(shared, path, token):
    """Without a valid token: 401 for everything."""
    answer = shared.api(path, token=token)
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_health_needs_no_token(shared):
    """Whether all is well is told to everybody."""
    assert shared.api("/health", token="").status == 200


@pytest.mark.parametrize("sort", ["id", "-id", "created_at", "-updated_at"])
def test_paging_sees_each_once(guests, sort):
    """Following the links alone, every instance is seen once, in the order asked for."""
    path, seen, pages = f"/app_instances?{OURS}&per_page=60&sort={sort}", [], 0
    while path:
        answer = guests.api(path)
        assert answer.status == 200
        seen += answer.document
        pages, path = pages + 1, answer.next
    assert pages == 5
    assert sorted(one["customer_account"]["id"] for one in seen) == NAMES
    field = sort.removeprefix("-")
    assert [one[field] for one in seen] == sorted(
        (one[field] for one in seen), reverse=sort.startswith("-")
    )


def test_a_page_is_of_twenty(guests):
    """A page holds twenty where nothing else is asked for, and a hundred at most."""
    assert len(guests.get(f"/app_instances?{OURS}")) == 20
    assert len(guests.get(f"/app_instances?{OURS}&per_page=100")) == 100
    assert guests.api(f"/app_instances?{OURS}&per_page=101").status == 400


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("status=suspended", SUSPENDED),
        ("status=suspended,disabled", sorted(SUSPENDED + DISABLED)),
        ("disabled=true", DISABLED),
        ("suspended=!false", SUSPENDED),
        ("status=!enabled", sorted(SUSPENDED + DISABLED)),
        ("customer_account=guest-004,guest-005", NAMES[4:6]),
        ("id=<xurrent/list/guest-003", NAMES[:3]),
        ("created_at=>2100-01-01T00:00:00Z", []),
        ("platform=rebilly", []),
    ],
)
def test_filters(guests, asked, names):
    """A filter lists what satisfies it, with the operator in the value."""
    found = guests.get(f"/app_instances?{OURS}&per_page=100&{quote(asked, safe='=&,')}")
    assert [one["customer_account"]["id"] for one in found] == names


def test_the_named_lists(guests):
    """`enabled` and `disabled` are lists of their own."""
    disabled = guests.get(f"/app_instances/disabled?{OURS}&per_page=100")
    assert [one["customer_account"]["id"] for one in disabled] == sorted(SUSPENDED + DISABLED)
    enabled = guests.get(f"/app_instances/enabled?{OURS}&per_page=100")
    assert {one["status"] for one in enabled} == {"enabled"}


def test_fields(guests):
    """The fields asked for and no others; by default all but the long ones."""
    found = guests.get(f"/app_instances?{OURS}&fields=id,facts&per_page=1")
    assert found[0].keys() == {"id", "facts"}
    whole = guests.get("/app_instances/xurrent/list/guest-000")
    assert {"id", "status", "confirmed", "version", "created_at"} <= whole.keys()
    assert not {"facts", "custom_fields", "secrets"} & whole.keys()


def test_one_instance_by_either_name(guests):
    """An instance has its three segments, or the same percent-encoded into one."""
    plain = guests.get("/app_instances/xurrent/list/guest-009")
    assert guests.get("/app_instances/xurrent%2Flist%2Fguest-009") == plain
    assert guests.api("/app_instances/xurrent/list/nobody").status == 404


def test_the_old_words(guests):
    """The vocabulary of before 2021 tells the same."""
    path = "/integration_instances/xurrent/list/guest-009"
    assert guests.get(path)["integration"] == {"reference": "list"}
    assert "app_offering" not in guests.get(path)


@pytest.mark.parametrize(
    "asked",
    ["fields=id,secrets", "surprise=1", "sort=status", "per_page=0", "cursor=!", "status=x"],
)
def test_what_is_not_there_cannot_be_asked_for(shared, asked):
    """An unknown field, filter, sort or value: 400, and what is wrong is said."""
    answer = shared.api(f"/app_instances?{asked}")
    assert answer.status == 400
    assert answer.document["detail"]


@pytest.mark.parametrize(
    "command",
    ["instances", "deliveries", "rejected", "dead-letters", "follow-ups", "policies", "sweep"],
)
def test_every_listing_as_json(guests, command):
    """Each command that lists prints one JSON document."""
    document = guests.told(command)
    assert isinstance(document, dict if command == "sweep" else list)
    if command in ("instances", "deliveries", "follow-ups"):
        assert document


def test_commands_list_what_the_api_lists(guests):
    """The command gives what the API gives, filters and fields included."""
    found = guests.told("instances", "--app", "list", "--status", "suspended", "--fields", "id")
    assert found == [{"id": f"xurrent/list/{name}"} for name in SUSPENDED]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("check", 0),
        ("instances show xurrent/list/guest-000", 0),
        ("instances show xurrent/list/nobody", 1),
        ("explain xurrent/list/nobody", 1),
        ("deliveries show 1-nonsense", 1),
        ("instances --status surprise", 2),
        ("instances --surprise", 2),
        ("surprise", 2),
    ],
)
def test_exit_codes(guests, command, code):
    """0: fine; 1: what was asked about is not; 2: wrong usage."""
    assert guests.cli(*command.split()).code == code
