"""The register against the simulator's truth: whatever goes wrong, in the end they agree.

`ACTIONS=10000` in the environment makes the long run longer, `SEED` another one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from tests.processes import soon
from tests.system.agreeing import (
    SECRETS_TOKEN,
    Rows,
    customers,
    differences,
    lacking,
    last_pass,
    register,
    secrets_of,
    until_quiet,
)
from tests.system.calls import Calls
from tests.system.running import Inn
from tests.system.simulating import Simulator

ACTIONS = int(os.environ.get("ACTIONS", "1000"))
SEED = int(os.environ.get("SEED", "1"))
AT_ONCE = 100
NAMES = (
    "installed", "enabled", "resumed", "suspended", "disabled", "removed", "updated", "adopted",
    "secrets_updated", "app_event",
)  # fmt: skip
OPENS = ("enabled", "resumed")
FOLLOW_UPS = f"""
[[follow_ups]]
name = "book"
on = {list(NAMES)}
call = "acme_hooks:note"
[[follow_ups]]
name = "open"
on = {list(OPENS)}
call = "acme_hooks:note"
"""
Opened = tuple[Inn, Simulator]
Open = Callable[..., Opened]


@pytest.fixture
def opened(open_inn) -> Iterator[Open]:
    """Starts marketplaces and an inn before them; arguments as for `Simulator`.

    Both end with the test: the next has the machine for itself.
    """
    with contextlib.ExitStack() as ending:

        def start(**options) -> Opened:
            inn = open_inn(INNKEEPER_SECRETS_TOKEN=SECRETS_TOKEN)
            ending.callback(inn.end)
            inn.environment["ACME_CALLS"] = str(inn.folder / "calls.jsonl")
            simulator = Simulator(inn)
            ending.callback(simulator.end)
            simulator.start(FOLLOW_UPS, seed=SEED, **options)
            inn.start()
            return inn, simulator

        yield start


@pytest.mark.timeout(120 + ACTIONS // 5)
def test_a_long_disorderly_run_ends_in_the_truth(opened):
    """Through duplicates, disorder, retries and reads: each step set off once, no secret lost."""
    # What comes before the key that proves it is refused and sent again, never switched off.
    inn, simulator = opened(
        customers=40, duplicated=0.1, disorder=8, scale=0.001, switch_off_after=1_000_000
    )
    for _ in range(ACTIONS // AT_ONCE):
        simulator.act(AT_ONCE)
    counts = simulator.settle()
    # Of a customer's own, what a removal has overtaken is refused: its key is out of force.
    given_up = {one["event"] for one in simulator.deliveries(outcome="given_up")}
    assert given_up <= {"automation_rule", "webhook.verify"}
    assert counts["switched_off"] == 0
    assert min(counts["retried"], counts["repeated"]) > 0
    until_quiet(inn, 30 + ACTIONS / 20)
    last_pass(inn)
    assert {app: left(drift) for app, drift in last_pass(inn).items() if left(drift)} == {}
    rows, truth = register(inn), simulator.truth()
    assert differences(rows, truth, told=True) == {}
    assert lacking(inn, truth) == {}
    each_is_set_off_once(inn, rows)
    app_events_were_set_off(inn, simulator)
    # Answers to the handshakes of webhooks that went with a removed installation.
    assert {one["name"] for one in inn.get("/dead_letters?per_page=100")} <= {"handshake"}


def test_with_every_delivery_dropped_the_register_still_agrees(opened):
    """Only the lists tell of anybody: all are there, and each pass says whose secrets are not."""
    inn, simulator = opened(customers=12, reconcile="1s", scale=0.0001, dropped=1.0)
    for _ in range(4):
        simulator.act(60)
        time.sleep(1)
    drifts = last_pass(inn)
    rows, truth = register(inn), simulator.truth()
    assert differences(rows, truth, told=False) == {}
    assert customers(truth)
    missing = [one["secrets_missing"] for one in drifts.values()]
    assert set().union(*missing) == customers(truth)
    assert not any(secrets_of(inn, key) for key in customers(truth))


def test_a_webhook_overtakes_a_slow_read(opened):
    """What a slow answer says was true before the webhook came: the webhook's state stays."""
    inn, simulator = opened(customers=2, reconcile="1h", scale=0.0001)
    simulator.act(40)
    truth = simulator.truth()
    app, account = next(
        key.split("/")[1:]
        for key, one in truth.items()
        if key in customers(truth) and not one["suspended"]
    )
    simulator.rates(dropped=1.0)
    simulator.perform(app, account, "suspend")
    simulator.rates(dropped=0.0)
    # Now it rests on a read, so that whatever a webhook says otherwise is read back.
    last_pass(inn)
    simulator.perform(app, account, "resume")
    until_quiet(inn, 30)
    simulator.trouble("xurrent", "slow", times=1, seconds=3.0)
    simulator.perform(app, account, "suspend")
    time.sleep(1.5)
    simulator.perform(app, account, "resume")
    overtaken = f"/deliveries?instance=xurrent/{app}/{account}&outcome=overtaken"
    assert soon(lambda: bool(inn.get(overtaken)))
    until_quiet(inn, 30)
    assert differences(register(inn), simulator.truth(), told=True) == {}


def each_is_set_off_once(inn: Inn, rows: Rows) -> None:
    """Each transition has set off each follow-up that wants it, under one key of its own."""
    keys: dict[str, set[str]] = defaultdict(set)
    of: dict[str, set[str]] = defaultdict(set)
    names = {}
    for call in Calls(inn.folder / "calls.jsonl").all():
        keys[call["transition"]].add(call["key"])
        of[call["key"]].add(call["transition"])
        names[call["transition"]] = call["name"]
    assert {key: found for key, found in of.items() if len(found) > 1} == {}
    for row in rows:
        for one in inn.get(f"/app_instances/{row}/transitions"):
            names[one["id"]] = one["name"]
    wanted = {id_: 2 if name in OPENS else 1 for id_, name in names.items()}
    assert {id_: len(keys[id_]) for id_ in wanted} == wanted


def app_events_were_set_off(inn: Inn, simulator: Simulator) -> None:
    """As many app events of each customer were set off as were taken from its webhook."""
    sent: dict[str, int] = defaultdict(int)
    taken: dict[str, set[str]] = defaultdict(set)
    for one in simulator.deliveries(event="automation_rule", outcome="answered"):
        sent[named(one)] += not one["repeat"]
    for call in Calls(inn.folder / "calls.jsonl").all():
        if call["name"] == "app_event":
            taken[call["instance"]].add(call["transition"])
    assert {key: len(found) for key, found in taken.items()} == dict(sent)


def left(drift: dict) -> dict[str, int]:
    """What a pass found to mend."""
    counts = ("adopted", "missed_installs", "missed_removals", "differing", "held")
    return {name: drift[name] for name in counts if drift[name]}


def named(delivery: dict) -> str:
    """Whom a delivery was about."""
    return f"{delivery['platform']}/{delivery['app']}/{delivery['account']}"
