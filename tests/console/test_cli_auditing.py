"""`innkeeper audit` and `innkeeper rebuild --check`: what they print, and their codes."""

from __future__ import annotations

import time

import msgspec
import pytest

from innkeeper.operations import findings, rebuild
from innkeeper.operations.accepted import Note, Notes
from innkeeper.store.entry import new_delivery_id, raw_id
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import partition_of
from tests.console.conftest import Cli
from tests.inn import CANARY, Inn, brings_secrets, key_of, states

KEY = key_of()
KEYS = keys_of(partition_of(KEY))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else writes here."""
    monkeypatch.setattr(findings, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(rebuild, "_PAUSE_SECONDS", 0.0)


@pytest.fixture
def lived_in(inn: Inn) -> Inn:
    """An inn with one customer, whose secrets came, and a delivery that waits."""
    inn.post(brings_secrets())
    inn.states()
    inn.post(states("zulu"))
    return inn


def test_audit_of_what_adds_up(cli: Cli, lived_in: Inn) -> None:
    """The sums, and exit 0."""
    ended = cli("audit")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "accepted 3 = applied 2 + dead 0 + pending 1; kept 3, trimmed 0, forgotten 0",
        "0 notes of receivers; 0 do not fit, 0 lost",
    ]
    document = cli("audit", "--json").document
    assert document["balance"]["accepted"] == 3
    assert (document["findings"], document["lost"], document["notes"]) == ([], [], 0)


def test_audit_names_what_does_not_fit(cli: Cli, lived_in: Inn) -> None:
    """A line each, those that were lost by customer, and exit 1."""
    delivery = lived_in.states()
    lived_in.desk.store.command("HDEL", KEYS.bodies, raw_id(delivery))
    gone = new_delivery_id(KEY)
    notes = Notes(lived_in.desk.config.data)
    notes.write([Note(delivery=gone, instance=str(KEY), at=time.time())])
    notes.close()
    (lived_in.desk.config.data / "accepted").rename(data_of_cli(lived_in) / "accepted")
    ended = cli("audit")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert f"entry {delivery}: has no body" in lines
    assert f"{KEY}: 1 accepted and lost, {gone} the first; the register has it enabled" in lines
    assert lines[-1] == "1 notes of receivers; 2 do not fit, 1 lost"
    document = cli("audit", "--json").document
    assert [one["id"] for one in document["findings"]] == [delivery, str(partition_of(KEY))]
    assert document["lost"][0]["ids"] == [gone]


def data_of_cli(inn: Inn):
    """The data folder that the command line uses."""
    folder = inn.desk.config.data / ".innkeeper"
    folder.mkdir(exist_ok=True)
    return folder


def test_rebuild_of_what_agrees(cli: Cli, lived_in: Inn) -> None:
    """Exit 0; without `--check` it is refused."""
    ended = cli("rebuild", "--check")
    assert (ended.code, ended.out) == (0, "1 instances, 3 entries: 0 differences\n")
    assert cli("rebuild", "--check", "--json").document == {
        "instances": 1,
        "entries": 3,
        "differences": [],
        "unchecked": [],
    }
    refused = cli("rebuild")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "only --check: the register is compared with the log, never replaced\n"


def test_rebuild_tells_each_difference(cli: Cli, lived_in: Inn) -> None:
    """What the register says, and what the log says; exit 1; of one instance alone, too."""
    store, line = lived_in.desk.store, KEYS.instance + str(KEY)
    record = msgspec.json.decode(store.command("HGET", line, "record"))
    record["flags"]["suspended"] = True
    store.command("HSET", line, "record", msgspec.json.encode(record))
    ended = cli("rebuild", "--check", KEY)
    assert ended.code == 1
    assert ended.out.splitlines()[0] == f"{KEY}  flags.suspended: yes → no"
    assert ended.out.splitlines()[1].endswith(": 1 differences")
    told = cli("rebuild", "--check", "--json")
    (difference,) = told.document["differences"]
    assert difference == {
        "instance": str(KEY),
        "what": "flags.suspended",
        "live": True,
        "rebuilt": False,
    }
    assert CANARY not in ended.out + told.out
    assert cli("rebuild", "--check", "xurrent/notes/nobody").code == 0
