"""The register beside the truth: both as plain rows, and when all that came in has taken effect."""

from __future__ import annotations

import re
from typing import Any

from tests.processes import soon
from tests.system.running import Inn
from tests.system.simulating import Truth
from tests.system.speaking import ask

FLAGS = ("disabled", "suspended", "enabled_by_customer")
SECRETS_TOKEN = "a-token-for-secrets-alone"
_SHOWN = ("status", *FLAGS, "marketplace_id")
Rows = dict[str, dict[str, Any]]


def register(inn: Inn) -> Rows:
    """Every instance in the register, as the API shows it, by its name."""
    rows: Rows = {}
    path = "/app_instances?per_page=100"
    while path:
        answer = inn.api(path)
        assert answer.status == 200, answer
        rows |= {one["id"]: one for one in answer.document}
        path = (answer.next or "").removeprefix(f"http://127.0.0.1:{inn.ports['console']}")
    return rows


def differences(rows: Rows, truth: Truth, *, told: bool) -> dict[str, tuple[Any, Any]]:
    """What the register says otherwise than the truth, by instance: the one and the other.

    `told`: every delivery came, of those who send any; else nobody can know who came and went
    between two readings, and a yes that was withdrawn meanwhile may look as if it were still to
    come: no list shows that it was given.
    """
    found = {}
    for key in rows.keys() | truth.keys():
        row, true, heard = rows.get(key), truth.get(key), told and sends(key)
        if row is None and true is not None and true["status"] == "removed" and not heard:
            continue
        said = _said(row) if row else None
        if true is None or said is None or not _agrees(said, true, strictly=heard):
            found[key] = (said, true and {name: true.get(name) for name in _SHOWN})
    return found


def lacking(inn: Inn, truth: Truth) -> dict[str, list[str]]:
    """The secrets of customers who are there that the register has not, or has otherwise."""
    found = {}
    for key in customers(truth):
        held = secrets_of(inn, key)
        found[key] = [n for n, value in truth[key]["secrets"].items() if held.get(n) != value]
    return {key: names for key, names in found.items() if names}


def customers(truth: Truth) -> set[str]:
    """Those who are there and have given secrets."""
    return {k for k, one in truth.items() if one.get("secrets") and one["status"] != "removed"}


def moved(before: Rows, after: Rows) -> set[str]:
    """Who came to the register or looks otherwise there."""
    return {
        key for key, row in after.items() if key not in before or _said(row) != _said(before[key])
    }


def sends(key: str) -> bool:
    """Whether an instance's marketplace sends deliveries."""
    return not key.startswith("xandr/")


def secrets_of(inn: Inn, key: str) -> dict[str, Any]:
    """A customer's secrets that are in force."""
    url = f"http://127.0.0.1:{inn.ports['console']}/app_instances/{key}/secrets"
    answer = ask("GET", url, headers={"authorization": f"Bearer {SECRETS_TOKEN}"})
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.document["secrets"]
    return found


def figures(inn: Inn) -> dict[str, float]:
    """The console's figures, by name and labels."""
    lines = inn.api("/metrics").body.decode().splitlines()
    return {
        match[1]: float(match[2])
        for match in (re.fullmatch(r"(\S+) (\S+)", line) for line in lines)
        if match
    }


def until_quiet(inn: Inn, within_seconds: float) -> None:
    """Wait until the register knows all that came in, doubts nothing, and all is done or dead."""
    assert soon(lambda: _is_quiet(inn), within_seconds), (
        figures(inn),
        inn.get("/dead_letters"),
        inn.get("/app_instances?confirmed=false&fields=id,status"),
    )


def last_pass(inn: Inn, within_seconds: float = 60.0) -> dict[str, dict[str, Any]]:
    """Go through every list once more, whoever has vanished being gone; the drift of each app."""
    drifts: dict[str, dict[str, Any]] = {}

    def passed() -> bool:
        for one in inn.cli("reconcile", "--accept-removals", "--json").document:
            # A worker may be at a pass of the same app: then it is tried again.
            if one["outcome"] == "ended":
                drifts.setdefault(one["app"], one)
        return len(drifts) == 4

    assert soon(passed, within_seconds), drifts
    until_quiet(inn, within_seconds)
    return drifts


def _said(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN}


def _agrees(said: dict[str, Any], true: dict[str, Any], *, strictly: bool) -> bool:
    # Of one who is gone the flags are history, and what never had an id may still have none.
    names = ["status"] if true["status"] == "removed" else ["status", *FLAGS]
    if true["status"] != "removed" and "marketplace_id" in true:
        names.append("marketplace_id")
    expected = {name: true[name] for name in names}
    if not strictly and _is_withdrawn(true) and said["status"] in ("pending", "suspended"):
        expected["status"] = "suspended" if true["suspended"] else "pending"
    return {name: said[name] for name in names} == expected


def _is_withdrawn(true: dict[str, Any]) -> bool:
    agreed = true.get("agreed") and not true["enabled_by_customer"]
    return bool(agreed) and not true["disabled"] and true["status"] != "removed"


def _is_quiet(inn: Inn) -> bool:
    now = figures(inn)
    # A dead letter stays open until somebody decides.
    left = now["innkeeper_work_open"] - now["innkeeper_dead_letters"]
    if now["innkeeper_entries_pending"] or left:
        return False
    return not inn.get("/app_instances?confirmed=false&per_page=1")
