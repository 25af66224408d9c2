"""Checks of what runs: the queue server, the workers on whatever host, receiver and console here.

Receiver and console are asked over HTTP, as anybody would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from innkeeper.bells import BellName, live_workers
from innkeeper.config import Bind, Config
from innkeeper.config.hosts import without_password
from innkeeper.operations.desk import queue_url
from innkeeper.operations.doctor.findings import fine, span, warning, wrong
from innkeeper.outgoing import Answer, Outgoing, Unreachable
from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.trust import Finding

_ANSWER_SECONDS = 2.0
_LEEWAY_SECONDS, _TELLING_SECONDS = 60.0, 15.0
_STANDS = {
    BellName.APPLY: "deliveries are kept but not applied",
    BellName.PERFORM: "follow-ups wait",
    BellName.MARKETPLACES: "confirming, reconciling and trimming wait",
}


def check_queue(config: Config, queue: Store) -> list[Finding]:
    """RQ's server. Nothing on it is worth keeping; while it is away, work stands."""
    where = without_password(queue_url(config))
    try:
        queue.command("PING")
    except (StoreError, StoreUnavailable) as error:
        said = f"it does not answer at {where} ({error}): start it; until then the work stands"
        return [wrong("queue server", said)]
    return [fine("queue server", f"it answers at {where}")]


def check_workers(queue: Store) -> list[Finding]:
    """Whether somebody answers each bell. Raises StoreError, StoreUnavailable."""
    counts = {bell: live_workers(bell, queue) for bell in BellName}
    value = ", ".join(f"{bell} {count}" for bell, count in counts.items())
    idle = [_STANDS[bell] for bell, count in counts.items() if not count]
    if not idle:
        return [fine("workers", "each bell is answered", value)]
    said = f"{'; '.join(idle)}: start `innkeeper worker`"
    return [wrong("workers", said, value)]


def check_receiver(config: Config) -> list[Finding]:
    """Whether one runs here and is ready, and what it knows of the clock."""
    found = _ask(config, "receiver", config.receiver.bind, "/health/ready")
    if isinstance(found, Finding):
        return [found]
    if found.status != 200:
        said = f"it is not ready: {_said(found)}"
        return [wrong("receiver", said), *_clocks(config)]
    return [fine("receiver", f"it is ready at {config.receiver.bind}"), *_clocks(config)]


def check_console(config: Config) -> list[Finding]:
    """Whether one runs here and can ask the store."""
    found = _ask(config, "console", config.console.bind, "/health")
    if isinstance(found, Finding):
        return [found]
    if found.status != 200:
        return [wrong("console", f"it is not ready: {_said(found)}")]
    return [fine("console", f"it answers at {config.console.bind}")]


def _ask(config: Config, name: str, bind: Bind, path: str) -> Answer | Finding:
    try:
        return _get(config, bind, path)
    except Unreachable as error:
        # With a store of its own, this host has to run everything.
        verdict: Callable[[str, str], Finding] = warning if config.store.url else wrong
        said = f"none answers at {bind} ({error}): start `innkeeper {name}`, if it is to run here"
        return verdict(name, said)


def _get(config: Config, bind: Bind, path: str) -> Answer:
    outgoing = Outgoing([bind.reached_at], timeout_seconds=_ANSWER_SECONDS)
    token = next(iter(config.api_tokens), None)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return outgoing.request("GET", f"http://{bind.reached_at}{path}", headers=headers)


def _said(answer: Answer) -> str:
    try:
        document: Any = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return f"HTTP {answer.status}"
    stated = document.get("store") if isinstance(document, dict) else None
    return f"store {stated}" if stated else f"HTTP {answer.status}"


def _clocks(config: Config) -> list[Finding]:
    """The clock of each marketplace, as the tokens say that the receiver has seen."""
    answer = _get(config, config.receiver.bind, "/metrics")
    return [
        _skew(sample.labels["platform"], sample.value)
        for family in text_string_to_metric_families(answer.body.decode())
        if family.name == "innkeeper_clock_skew_seconds"
        for sample in family.samples
    ]


def _skew(platform: str, ahead: float) -> Finding:
    name, value = f"clock, {platform}'s", f"{ahead:+.1f} s"
    if abs(ahead) <= _TELLING_SECONDS:
        return fine(name, "ours agrees with it", value)
    way = "ahead of" if ahead > 0 else "behind"
    said = f"ours is {span(abs(ahead))} {way} it, by its last tokens: set ours by NTP"
    if abs(ahead) <= _LEEWAY_SECONDS:
        return warning(name, said, value)
    mend = "then `innkeeper rejected retry` lets in what was refused for it"
    return wrong(name, f"{said}; {mend}", value)
