"""`innkeeper explain`: why an instance is in its state, as lines that no terminal cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from innkeeper_console.cli.failing import Failed
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder, InstanceName


def explain(
    key: InstanceName,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Tell why an instance is in its state; platform/app/- for what belongs to none."""
    from innkeeper.operations import explain as explaining
    from innkeeper.operations.instances import read_key
    from innkeeper_console.cli.printing import print_json, shown

    name = read_key(key)
    with opened(config, data) as desk:
        document = explaining.explain(desk, name)
    if document is None:
        raise Failed(f"nothing is known of {key}")
    if as_json:
        print_json(document)
        return
    for line in _told(document):
        print("".join(shown(part) for part in line))


def _told(told: dict[str, Any]) -> Iterator[list[Any]]:
    instance = told["instance"]
    if instance is None:
        yield [told["id"], " is no line of the register"]
    else:
        yield [told["id"], " is ", instance["status"], ": ", told["why"]]
        yield ["  ", "unconfirmed: " + told["unconfirmed"] if told["unconfirmed"] else "confirmed"]
        yield [f"  version {instance['version']}, known since ", instance["created_at"]]
    sections = (
        ("facts", _fact), ("secrets", _secret), ("signing_policies", _policy),
        ("transitions", _happening), ("notices", _happening), ("without_effect", _delivery),
    )  # fmt: skip
    for name, lines in sections:
        if told[name]:
            yield [name.replace("_", " ")]
            for one in told[name]:
                yield from lines(one)
    yield from _waiting(told["waiting"])


def _fact(fact: dict[str, Any]) -> Iterator[list[Any]]:
    yield ["  ", fact["fact"], ": ", fact["value"], *_by(fact["order"], fact["delivery"])]


def _secret(secret: dict[str, Any]) -> Iterator[list[Any]]:
    past = "" if secret["in_force"] else ", of an installation that is gone"
    previous = secret["previous_since"]
    kept = f", the previous one from {previous}" if previous else ""
    yield ["  ", secret["name"], " since ", secret["since"], past, kept,
           *_by(secret["order"], secret["delivery"])]  # fmt: skip


def _policy(policy: dict[str, Any]) -> Iterator[list[Any]]:
    until = f", until {policy['until']}" if policy["until"] else ""
    yield ["  ", policy["state"], " ", policy["fingerprint"], " ", policy["algorithm"], " since ",
           policy["since"], until, *_by(None, policy["delivery"])]  # fmt: skip


def _happening(one: dict[str, Any]) -> Iterator[list[Any]]:
    change = ""
    if one["from_status"] != one["to_status"]:
        change = f" ({one['from_status'] or 'unknown'} → {one['to_status']})"
    yield ["  ", one["at"], "  ", one["name"], change]
    kept = f"source {one['source']}" if one["kept"] else "no longer kept"
    yield ["    by ", one["cause"], *_by(one["order"], one["delivery"]), ", received ",
           one["received_at"], ", ", kept, ", signed by ", one["signer"]]  # fmt: skip
    for work in one["follow_ups"]:
        yield ["    follow-up ", work["name"], ": ", *_work(work)]


def _work(work: dict[str, Any]) -> list[Any]:
    if work["state"] is None:
        return ["done long ago"]
    told = [work["state"], f", attempts {work['attempts']}"]
    if work["at"]:
        told += [", at ", work["at"]]
    if work["error"]:
        told += [", last error: ", work["error"]]
    return [*told, ", idempotency key ", work["idempotency_key"]]


def _delivery(entry: dict[str, Any]) -> Iterator[list[Any]]:
    yield ["  ", entry["received_at"], "  ", entry["outcome"],
           *_by(entry["order"], entry["id"]), ", signed by ", entry["signer"]]  # fmt: skip


def _waiting(waiting: dict[str, Any]) -> Iterator[list[Any]]:
    if not (waiting["deliveries"] or waiting["lanes"] or waiting["trouble"]):
        yield ["nothing waits"]
        return
    yield ["waiting"]
    if waiting["trouble"]:
        yield [f"  partition {waiting['partition']} stands: ", waiting["trouble"]]
    for entry in waiting["deliveries"]:
        yield from _delivery(entry)
    for lane in waiting["lanes"]:
        blocked = f", blocked by {lane['blocked_by']}" if lane["blocked_by"] else ""
        yield ["  lane ", lane["lane"], f": {lane['length']} to do, due ", lane["due_at"], blocked]


def _by(order: str | None, delivery: str | None) -> list[Any]:
    found: list[Any] = []
    if order:
        found += [", order ", order]
    if delivery:
        found += [", delivery ", delivery]
    return found
