"""Importing customers, with keys and secrets, from an older receiver."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from innkeeper.operations.captured import MAX_LINE_BYTES
from innkeeper.operations.importing import MAX_BLOCKS_BYTES, import_lines
from innkeeper.operations.replay_lines import Report
from tests.inn import CANARY, Inn, app_event, brings_secrets, key_of, signed
from tests.keys import key_for, public_pem

APPLICATION = {"client_id": "old-id", "client_secret": "old-secret"}


def line(account: str = "acme", **more: Any) -> dict[str, Any]:
    """A customer of `notes`."""
    return {"platform": "xurrent", "app": "notes", "account": account, **more}


def policy(owner: str = "acme") -> dict[str, str]:
    """The signing policy of a customer."""
    return {"algorithm": "rs256", "public_key": public_pem(key_for("RS256", owner))}


def imports(inn: Inn, *lines: dict[str, Any] | bytes) -> Report:
    """Import these, and apply."""
    raw = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    report = import_lines(inn.desk, io.BytesIO(b"\n".join(raw)))
    inn.apply()
    return report


def names(inn: Inn) -> list[str]:
    """What happened to `acme`."""
    return [str(one.name) for one in inn.desk.register.transitions(key_of())]


def secrets(inn: Inn) -> dict[str, Any]:
    """The secrets of `acme` that are in force."""
    found = inn.desk.register.line(key_of())
    assert found is not None
    return inn.desk.register.secrets(found.instance)


def status(inn: Inn) -> str:
    """The status of `acme`."""
    found = inn.desk.register.line(key_of())
    assert found is not None
    return str(found.instance.status)


FLAGS: dict[str, Any] = {"disabled": False, "suspended": False, "enabled_by_customer": True}


def test_a_customer_is_adopted_with_key_and_secrets(inn: Inn) -> None:
    """Their own webhooks are proven from then on, and nothing else is set off."""
    more: dict[str, Any] = {
        "authorization_application": {"client_id": "x"},
        "secrets": {"token": "s"},
    }
    report = imports(inn, line(application=APPLICATION, policy=policy(), **more, **FLAGS))
    assert (report.accepted, report.is_fine) == (1, True)
    assert (status(inn), names(inn)) == ("enabled", ["adopted"])
    assert secrets(inn) == {
        "application.client_id": "old-id",
        "application.client_secret": "old-secret",
        "authorization_application.client_id": "x",
        "secrets.token": "s",
    }
    inn.post(app_event())
    inn.apply()
    assert [one.name for one in inn.desk.register.notices(key_of())][-1] == "app_event"


def test_what_the_file_does_not_say_stays_unknown(inn: Inn) -> None:
    """Without flags the customer is pending, until the marketplace tells more."""
    imports(inn, line(application=APPLICATION))
    assert (status(inn), names(inn)) == ("pending", ["adopted"])
    inn.states("acme")
    assert (status(inn), names(inn)) == ("enabled", ["adopted", "enabled"])


def test_importing_twice_does_nothing(inn: Inn) -> None:
    """The same content is the same import, in whatever order its names stand."""
    said = line(application=APPLICATION, **FLAGS)
    imports(inn, said)
    turned = dict(reversed(said.items()))
    report = imports(inn, turned)
    assert (report.accepted, report.duplicate) == (0, 1)
    assert names(inn) == ["adopted"]


def test_what_the_marketplace_said_is_newer(inn: Inn) -> None:
    """Whenever it came: an import changes no flag, and its secrets are the previous ones."""
    inn.post(brings_secrets())
    inn.states("acme", suspended=True)
    imports(inn, line(application=APPLICATION, **FLAGS))
    assert status(inn) == "suspended"
    assert secrets(inn)["application.client_secret"] == CANARY
    found = inn.desk.register.line(key_of())
    assert found is not None
    slot = found.instance.secrets["application.client_secret"]
    assert slot.previous is not None
    assert names(inn) == ["installed", "suspended"]


def test_a_delivery_after_the_import_counts(inn: Inn) -> None:
    """Any audit line is newer than what was known before."""
    imports(inn, line(application=APPLICATION, **FLAGS))
    inn.post(brings_secrets())
    inn.states("acme", audit=1, disabled=True)
    assert secrets(inn)["application.client_secret"] == CANARY
    assert (status(inn), names(inn)[-1]) == ("disabled", "disabled")


def test_who_has_left_does_not_come_back(inn: Inn) -> None:
    """The file may be older than the removal."""
    inn.states("acme")
    payload = {
        "audit_line_id": 900, "app_offering": {"reference": "notes"}, "customer_account_id": "acme",
    }  # fmt: skip
    inn.post(signed({"event": "app_instance.delete", "object_id": "7", "payload": payload}))
    imports(inn, line(application=APPLICATION, **FLAGS))
    assert (status(inn), secrets(inn)) == ("removed", {})


WRONG: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "not JSON": (b'{"secret": "hunter', "it is not JSON"),
    "a list": (b"[1]", "it is no object"),
    "a surrogate": (b'{"platform": "\\ud800"}', "it is not JSON"),
    "no app": ({"platform": "xurrent"}, "platform or app: is missing, or no text"),
    "unknown app": (line() | {"app": "gone"}, "app: xurrent/gone is not configured"),
    "unknown platform": (line() | {"platform": "mars"}, "app: mars/notes is not configured"),
    "no account": (line(""), "account: is missing, or no account of xurrent"),
    "a pseudo account": (line("-"), "account: is missing, or no account of xurrent"),
    "a path": (line("../x"), "account: is missing, or no account of xurrent"),
    "unknown names": (line(client_secret="x"), "it says more than is known here: client_secret"),
    "a flag as text": (line(disabled="no"), "disabled: is neither true nor false"),
    "a block as text": (line(application="x"), "application: is no object"),
    "a weak policy": (line(policy={"algorithm": "hs256", "public_key": "x"}), "policy: "),
    "a policy without a key": (line(policy={}), "policy: it has no algorithm or no public_key"),
    "too many secrets": (
        line(secrets={"x": "y" * MAX_BLOCKS_BYTES}), "its secrets are larger than 256 KiB",
    ),
    "a line too long": (b'"' + b"x" * MAX_LINE_BYTES + b'"', "the line is longer than 4 MiB"),
    "Rebilly's blocks": (
        {"platform": "rebilly", "app": "tides", "account": "org", "application": APPLICATION},
        "application: rebilly hands out nothing of the kind",
    ),
    "Rebilly's flags": (
        {"platform": "rebilly", "app": "tides", "account": "org", "suspended": True},
        "suspended: the marketplace has no such flag",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_line_that_cannot_be_used_is_told_and_the_others_go_in(inn: Inn, wrong: str) -> None:
    """With its number, and without repeating what may be a secret."""
    said, why = WRONG[wrong]
    report = imports(inn, said, b"", line(application=APPLICATION))
    assert (report.accepted, report.failed, report.is_fine) == (1, 1, False)
    ((number, told),) = report.faults
    assert number == 1
    assert told.startswith(why)
    assert "hunter" not in told
    assert names(inn) == ["adopted"]


def test_a_customer_on_rebilly_is_adopted_by_flag(inn: Inn) -> None:
    """There are no keys there: existence and the flag are all that there is to say."""
    said = {"platform": "rebilly", "app": "tides", "account": "org-1", "disabled": False}
    assert imports(inn, said).is_fine
    found = inn.desk.register.slice(
        "by_status:enabled", start="-", end="+", limit=5, reverse=False, by_score=False
    )
    assert [name for part in found for name, _ in part] == [b"rebilly/tides/org-1"]


def test_secrets_lie_encrypted(inn: Inn) -> None:
    """Neither log nor register holds one in clear."""
    imports(inn, line(application={"client_secret": CANARY}, **FLAGS))
    reading = {b"hash": ("HGETALL",), b"string": ("GET",), b"stream": ("XRANGE", "-", "+")}
    store, seen = inn.desk.store, set()
    for name in store.command("KEYS", "*"):
        kind = store.command("TYPE", name)
        if kind in reading:
            command, *rest = reading[kind]
            assert CANARY not in repr(store.command(command, name, *rest))
            seen.add(kind)
    assert seen == set(reading)
