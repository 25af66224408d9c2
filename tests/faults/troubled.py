"""Single customers whose follow-up is in trouble, beside the load, and what became of its runs."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from innkeeper.lifecycle.events import Flags
from tests.faults.customers import NOTES, Message
from tests.faults.load import Load, Sent
from tests.faults.trial import Trial
from tests.lifecycle.telling import states
from tests.processes import soon
from tests.system.running import VENDOR

_OPERATES = {"disabled": False, "suspended": False, "enabled_by_customer": True}


def configuration(*, performs: int, timeout: str = "30s") -> str:
    """That of a trial with a troubled follow-up: of so many workers, within that time."""
    return (
        f"[workers]\nperform = {performs}\n"
        '[[follow_ups]]\nname = "trouble"\non = ["enabled"]\ncall = "acme_troubles:act"\n'
        f'timeout = "{timeout}"\n'
    )


class Run(NamedTuple):
    """A line of what the troubled follow-up has noted."""

    word: str
    instance: str
    key: str
    attempt: int
    pid: int


class Troubled:
    """The troubled follow-up of a trial: see `vendor/acme_troubles.py`."""

    def __init__(self, trial: Trial) -> None:
        """To be made before the trial's services are started."""
        self.folder = trial.folder / "troubles"
        self.folder.mkdir()
        trial.environment["ACME_TROUBLES"] = str(self.folder)
        own = Path(__file__).with_name("vendor")
        trial.environment["PYTHONPATH"] = os.pathsep.join(map(str, (VENDOR, own)))

    def runs(self, instance: str, word: str) -> list[Run]:
        """How often it began, or ended, for an instance."""
        file = self.folder / "runs.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        found = [Run(**json.loads(line)) for line in lines]
        return [run for run in found if (run.instance, run.word) == (instance, word)]

    def until(self, instance: str, word: str, count: int = 1, within_seconds: float = 30.0) -> Run:
        """Wait until it has so often; the last of these."""
        assert soon(lambda: len(self.runs(instance, word)) >= count, within_seconds), (
            instance, word, self.runs(instance, "began"),
        )  # fmt: skip
        return self.runs(instance, word)[count - 1]


def installs(customer: str) -> Message:
    """The one delivery of a customer who installs, and is enabled thereby."""
    payload = NOTES.payload(customer, 1, dict(_OPERATES))
    return Message(
        instance=f"xurrent/{NOTES.reference}/{customer}",
        kind="lifecycle",
        path=f"/hooks/xurrent/{NOTES.reference}",
        body=lambda: NOTES.provider.signed(NOTES.event("create"), payload, object_id=1),
        event=states(1, Flags(phase=None, **_OPERATES), "1"),
        origin=str(uuid.uuid4()),
    )


def send(load: Load, message: Message) -> Sent:
    """Send a message beside the load, until it is taken; it stands in the same ledger."""
    sent = Sent(message)
    load.ledger.append(sent)
    assert soon(lambda: load.again(sent).taken, 20), sent
    return sent


def until_applied(trial: Trial, load: Load, within_seconds: float) -> None:
    """Wait until all that was accepted by now has its outcome."""
    waiting = [id_ for sent in list(load.ledger) for id_ in sent.ids]

    def folded() -> bool:
        while waiting and _outcome(trial, waiting[-1]) != "waiting":
            waiting.pop()
        return not waiting

    assert soon(folded, within_seconds), (len(waiting), trial.standing())


def _outcome(trial: Trial, delivery: str) -> str:
    answer = trial.api(f"/deliveries/{delivery}")
    # Of what lies in the spool the console knows nothing yet.
    return str(answer.document["outcome"]) if answer.status == 200 else "waiting"


def parents() -> dict[int, int]:
    """Every process that runs, and its parent."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    return {int(pid): int(parent) for pid, parent in map(str.split, table.stdout.splitlines())}


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    table = parents()
    found = [pid]
    for one in found:
        found += [child for child, parent in table.items() if parent == one]
    return found


def kill(*pids: int) -> None:
    """SIGKILL, without a word."""
    signal_all(pids, 9)


def signal_all(pids: Any, number: int) -> None:
    """A signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
