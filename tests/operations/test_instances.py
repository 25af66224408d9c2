"""The register as a list."""

from __future__ import annotations

import random
from typing import Any

import pytest

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.operations.instances import list_instances, read_question
from innkeeper.operations.questions import BadQuestion, take_apart
from innkeeper.store.commit import Commit
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, partition_of
from tests.inn import Inn, brings_secrets, handshake


def ids(inn: Inn, *pairs: tuple[str, str], pages: bool = True, predefined: str = "") -> list[str]:
    """The ids that a question gives, page after page."""
    found: list[str] = []
    cursor = None
    while True:
        given = [*pairs, ("cursor", cursor)] if cursor else pairs
        question = read_question(take_apart(given), predefined or None)
        page = list_instances(inn.desk, question)
        assert len(page.items) <= question.per_page
        found += [str(line.instance.key) for line in page.items]
        cursor = page.next
        if cursor is None or not pages:
            return found


def commit(inn: Inn, names: list[str], status: Status = Status.ENABLED, **more: Any) -> None:
    """Write instances, each partition's at one moment."""
    for partition in PARTITIONS:
        keys = [InstanceKey.parse(name) for name in names]
        mine = [key for key in keys if partition_of(key) == partition]
        if not mine:
            continue
        cursor = (inn.desk.store.command("GET", keys_of(partition).cursor) or b"0-0").decode()
        writing = Commit(partition, cursor)
        before = inn.desk.register.lines(mine)
        for key, line in zip(mine, before, strict=True):
            known = line.instance if line else None
            after = Instance(
                platform=key.platform,
                app=key.app,
                account=key.account,
                status=status,
                version=known.version + 1 if known else 1,
                **more,
            )
            writing.instance(known, after)
        assert writing.run(inn.desk.store, cursor)


def test_pages_are_gapless_and_in_order(inn: Inn) -> None:
    """Whatever the page's size, every instance comes once and in the order of the names."""
    names = [f"xurrent/notes/a{n:03}" for n in range(150)]
    commit(inn, random.sample(names, len(names)))
    for size in ("1", "7", "100"):
        assert ids(inn, ("per_page", size)) == names
        assert ids(inn, ("per_page", size), ("sort", "-id")) == names[::-1]


@pytest.mark.parametrize("sort", ["created_at", "updated_at"])
def test_sorts_by_time_though_times_are_equal(inn: Inn, sort: str) -> None:
    """Instances that one batch wrote at one moment are all listed, once each, by time."""
    for batch in range(3):
        commit(inn, [f"xurrent/notes/b{batch}-{n}" for n in range(120)])
    first = ids(inn, ("sort", sort), ("per_page", "3"))
    assert len(first) == len(set(first)) == 360
    assert [name[15] for name in first] == sorted(name[15] for name in first)
    assert ids(inn, ("sort", f"-{sort}"), ("per_page", "50")) == first[::-1]


def test_many_of_one_moment_in_one_partition_are_walked_through(inn: Inn) -> None:
    """More instances of one moment than a slice holds do not stop the list."""
    names: list[str] = []
    number = 0
    while len(names) < 500:
        name = f"xurrent/notes/c{number}"
        number += 1
        if partition_of(InstanceKey.parse(name)) == 3:
            names.append(name)
    commit(inn, names)
    assert sorted(ids(inn, ("sort", "created_at"), ("per_page", "4"))) == sorted(names)


def test_filters_by_status_use_the_index_and_agree_with_the_lines(inn: Inn) -> None:
    """One status, several, none of some, and the predefined lists."""
    for status in Status:
        commit(inn, [f"xurrent/notes/{status}-{n}" for n in range(3)], status)

    def kinds(*pairs: tuple[str, str], predefined: str = "") -> set[str]:
        found = ids(inn, *pairs, ("per_page", "2"), predefined=predefined)
        assert found == sorted(found)
        return {name.split("/")[2].partition("-")[0] for name in found}

    assert kinds(("status", "suspended")) == {"suspended"}
    assert kinds(("status", "suspended,enabled")) == {"suspended", "enabled"}
    assert kinds(("status", "!suspended,enabled")) == {*Status} - {"suspended", "enabled"}
    assert kinds(predefined="enabled") == {"enabled"}
    assert kinds(predefined="disabled") == {"disabled", "suspended", "disabling"}
    assert kinds(("status", "removed"), predefined="disabled") == set()
    later = ids(inn, ("status", "enabled"), ("sort", "-updated_at"))
    assert {name.split("/")[2].partition("-")[0] for name in later} == {"enabled"}


def test_filters_by_fields(inn: Inn) -> None:
    """Flags, app, account, platform and confirmation are told from one another."""
    inn.states("open")
    inn.states("shut", disabled=True)
    inn.states("held", suspended=True)
    inn.states("shy", enabled_by_customer=False)
    name = "xurrent/notes/{}".format
    assert ids(inn, ("disabled", "true")) == [name("shut")]
    assert ids(inn, ("disabled", "!true"), ("suspended", "false")) == [name("open"), name("shy")]
    assert ids(inn, ("enabled_by_customer", "false")) == [name("shy")]
    assert ids(inn, ("disabled", "null")) == []
    assert ids(inn, ("customer_account", "open,held")) == [name("held"), name("open")]
    assert len(ids(inn, ("app_offering", "notes"))) == 4
    assert ids(inn, ("app_offering", "!notes")) == []
    assert ids(inn, ("platform", "rebilly")) == []
    assert len(ids(inn, ("confirmed", "true"))) == 4
    assert ids(inn, ("id", name("open"))) == [name("open")]
    assert ids(inn, ("id", f">{name('open')}")) == [name("shut"), name("shy")]
    assert ids(inn, ("id", f"<={name('open')}"), ("sort", "-id")) == [name("open"), name("held")]


def test_compares_times_to_the_microsecond(inn: Inn) -> None:
    """`>=` takes the moment itself, `>` what is a microsecond later."""
    for account in ("a", "b", "c"):
        inn.states(account)
    lines = [inn.desk.register.line(InstanceKey.parse(f"xurrent/notes/{a}")) for a in "abc"]
    middle = lines[1].updated_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if lines[1] else ""
    for sort in ("id", "updated_at", "-updated_at"):
        for operator, expected in ((">=", "bc"), (">", "c"), ("<=", "ab"), ("<", "a"), ("", "b")):
            found = ids(inn, ("updated_at", operator + middle), ("sort", sort))
            assert sorted(name[-1] for name in found) == list(expected)


def test_the_newest_time_listed_is_a_sound_cursor(inn: Inn) -> None:
    """Who goes on from the last `updated_at` sees every later change."""
    commit(inn, [f"xurrent/notes/a{n}" for n in range(20)])
    question = read_question(take_apart([("sort", "updated_at"), ("per_page", "100")]))
    last = list_instances(inn.desk, question).items[-1]
    commit(inn, ["xurrent/notes/a3", "xurrent/notes/new"])
    since = last.updated_at.strftime(">=%Y-%m-%dT%H:%M:%S.%fZ")
    found = ids(inn, ("sort", "updated_at"), ("updated_at", since))
    assert set(found) == {str(last.instance.key), "xurrent/notes/a3", "xurrent/notes/new"}


def test_a_filter_that_matches_nothing_ends(inn: Inn) -> None:
    """An empty page without a cursor, in every order."""
    commit(inn, [f"xurrent/notes/a{n}" for n in range(300)])
    for sort in ("id", "-id", "created_at", "-updated_at"):
        assert ids(inn, ("customer_account", "nobody"), ("sort", sort)) == []


def test_what_has_no_instance_is_not_listed(inn: Inn) -> None:
    """A handshake of the provider makes no line; secrets alone make a pending one."""
    inn.post(handshake())
    inn.post(brings_secrets("early"))
    inn.apply()
    assert ids(inn) == ["xurrent/notes/early"]
    assert ids(inn, ("status", "pending")) == ["xurrent/notes/early"]


@pytest.mark.parametrize(
    "pair",
    [
        ("colour", "red"), ("status", "open"), ("status", ""), ("status", ">enabled"),
        ("disabled", "yes"), ("created_at", "yesterday"), ("created_at", ">=2026-01-01T00:00:00"),
        ("fields", "id,secrets"), ("sort", "status"), ("sort", "--id"), ("per_page", "0"),
        ("per_page", "101"), ("per_page", "²"), ("cursor", "nonsense"), ("cursor", "WzFd"),
        ("platform", "a,,b"),
    ],
)  # fmt: skip
def test_refuses_what_it_does_not_have(pair: tuple[str, str]) -> None:
    """An unknown field, filter, sort, value, page size or cursor is the asker's mistake."""
    with pytest.raises(BadQuestion):
        read_question(take_apart([pair]))


def test_a_cursor_belongs_to_its_order(inn: Inn) -> None:
    """A cursor of a list that was sorted differently is refused."""
    commit(inn, ["xurrent/notes/a", "xurrent/notes/b"])
    page = list_instances(inn.desk, read_question(take_apart([("per_page", "1")])))
    assert page.next is not None
    with pytest.raises(BadQuestion, match="sorted differently"):
        read_question(take_apart([("cursor", page.next), ("sort", "-id")]))
