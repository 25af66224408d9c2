"""The judge: the ledger of the senders, held against all that the product shows of itself.

Called when nothing is pending any more. Whatever does not fit is a finding, in words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.faults.expected import Standing, app_events, by_instance, standing_of, standings
from tests.faults.load import Load, Sent
from tests.faults.reporting import Row, report
from tests.faults.trial import Trial
from tests.system.agreeing import Rows, register, secrets_of

ANSWER_WITHIN_SECONDS = 5.0
_SAMPLE = 40
_SHOWN = 10


@dataclass
class Judgement:
    """What was found. `lost` and `twice` count; `findings` says what and where."""

    findings: list[str] = field(default_factory=list)
    lost: int = 0
    twice: int = 0
    runs: int = 0

    def find(self, what: str, *about: object) -> None:
        """Add a finding."""
        self.findings.append(" ".join([what, *map(str, about)]))


def judge(
    trial: Trial, load: Load, *, fault: str, what: str, settled_seconds: float = 0.0,
    store_away: bool = False, readable: str | None = None, lenient: bool = False,
) -> Judgement:  # fmt: skip
    """Judge a settled trial, report its row, and fail if anything does not fit.

    `fault`: its number in the list; `what`: what was done. `store_away`, `readable`: see
    `examine`. `lenient`: leave failing to the caller.
    """
    found = examine(trial, load, store_away=store_away, readable=readable)
    report(
        Row(
            fault=fault, what=what, seed=trial.seed, sent=len(load.ledger),
            accepted=load.accepted, lost=found.lost, twice=found.twice, repeated=found.runs,
            first_answer_seconds=first_answer_seconds(trial, load),
            settled_seconds=settled_seconds,
        )
    )  # fmt: skip
    told = "\n".join(found.findings[:_SHOWN])
    assert lenient or not found.findings, f"{len(found.findings)} findings:\n{told}"
    return found


def examine(
    trial: Trial, load: Load, *, store_away: bool = False, readable: str | None = None
) -> Judgement:
    """All checks; no row is reported and nothing fails.

    `store_away`: it was, for a while, and the spool knows none but its own claims: a repetition may
    have been accepted under an id of its own, which has to lead to the first. `readable`: the app
    (`platform/name`) whose instances are read back, so that a delivery may end as a doubt.
    """
    found = Judgement()
    rows = register(trial)
    _answers(found, load.ledger, store_away=store_away)
    _deliveries(found, trial, load.ledger, readable)
    _states(found, trial, load.ledger, rows)
    _follow_ups(found, trial, load.ledger, rows)
    _repetitions(found, trial, load, rows)
    trial.settle()
    _books(found, trial)
    return found


def first_answer_seconds(trial: Trial, load: Load) -> float:
    """From the fault's end to the first 2xx to a request that was sent since; 0 without a fault."""
    if trial.fault_ended_at is None:
        return 0.0
    since = [
        one.at + one.seconds - trial.fault_ended_at
        for sent in list(load.ledger)
        for one in sent.attempts
        if one.taken and one.at >= trial.fault_ended_at
    ]
    return min(since, default=0.0)


def _answers(found: Judgement, ledger: list[Sent], *, store_away: bool) -> None:
    """In time; never a refusal of what is authentic; a message is one delivery."""
    for sent in ledger:
        for one in sent.attempts:
            if one.seconds > ANSWER_WITHIN_SECONDS:
                found.find("answered late:", f"{one.seconds:.1f} s", one.status)
            # A customer's own key is learned from the log, which may take its time.
            refused = one.status is not None and 400 <= one.status < 500
            if refused and sent.message.kind != "app_event":
                found.find("refused:", one.status, sent.message.instance)
            if one.status == 500 or (one.status == 503 and one.retry_after is None):
                found.find("answered", one.status, "without more:", sent.message.instance)
        first = next((number for number, one in enumerate(sent.attempts) if one.taken), None)
        repetitions = [] if first is None else sent.attempts[first + 1 :]
        again = any(one.word == "accepted" for one in repetitions)
        if sent.message.origin and again and not store_away:
            found.find("accepted twice:", sent.message.instance, sent.ids)


def _deliveries(found: Judgement, trial: Trial, ledger: list[Sent], readable: str | None) -> None:
    """Whatever was answered 2xx can be found, and something became of it."""
    outcomes = {one["id"]: one["outcome"] for one in _pages(trial, "/deliveries?per_page=100")}
    for sent in ledger:
        # A doubt that has waited for a read is told by the same word as what is not folded.
        doubted = readable is not None and sent.message.instance.startswith(f"{readable}/")
        lost = (None, "dead") if doubted else (None, "waiting", "dead")
        for delivery in sent.ids:
            outcome = outcomes.get(delivery) or _outcome(trial, delivery)
            if outcome in lost:
                found.lost += 1
                found.find("accepted, and then", f"{outcome}:", delivery, sent.message.instance)


def _states(found: Judgement, trial: Trial, ledger: list[Sent], rows: Rows) -> None:
    """The register says what the reference model says, of everybody."""
    policies = {
        one["instance"]: one["fingerprint"]
        for one in trial.told("policies", "list")
        if one["state"] == "current"
    }
    stories = by_instance(ledger)
    for instance in stories.keys() | rows.keys():
        actual: Standing | None = None
        if row := rows.get(instance):
            secrets = {} if row["status"] == "removed" else secrets_of(trial, instance)
            actual = standing_of(row, secrets, policies.get(instance))
        expected = standings(stories.get(instance, []))
        if actual not in expected:
            found.lost += 1
            found.find("the register is wrong:", instance, actual, "instead of", expected)


def _follow_ups(found: Judgement, trial: Trial, ledger: list[Sent], rows: Rows) -> None:
    """Each transition once, in an unbroken chain, and each has set off its follow-up once."""
    calls = trial.calls.all()
    keys: dict[str, set[str]] = defaultdict(set)
    of: dict[str, set[str]] = defaultdict(set)
    shared: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        keys[call["transition"]].add(call["key"])
        of[call["key"]].add(call["transition"])
        if call["name"] == "app_event":
            shared[call["instance"]].add(call["key"])
    found.runs = len(calls) - len(of)
    for key, transitions in of.items():
        if len(transitions) > 1:
            found.find("one key for several transitions:", key)
    for transition, several in keys.items():
        if len(several) > 1:
            found.twice += 1
            found.find("set off more than once:", transition)
    for instance in rows:
        _history(found, instance, trial.get(f"/app_instances/{instance}/transitions"), keys)
    for instance, story in by_instance(ledger).items():
        if len(shared[instance]) not in app_events(story):
            found.lost += 1
            found.find("app events:", instance, len(shared[instance]), app_events(story))


def _history(
    found: Judgement, instance: str, steps: list[dict[str, Any]], keys: dict[str, set[str]]
) -> None:
    for (id_, _), count in Counter((one["id"], one["number"]) for one in steps).items():
        if count > 1:
            found.twice += 1
            found.find("a transition stands there twice:", instance, id_)
    for (delivery, name), count in Counter((s["delivery"], s["name"]) for s in steps).items():
        if count > 1:
            found.twice += 1
            found.find("moved twice:", instance, delivery, name)
    # Each begins where the one before has ended; several of one delivery may share their ends.
    last: dict[str, Any] = {"to_status": None, "delivery": None}
    for one in steps:
        shares = one["delivery"] == last["delivery"] and one["from_status"] == last["from_status"]
        if one["from_status"] != last["to_status"] and not shares:
            found.find("a broken chain:", instance, one["id"])
        last = one
        if not keys.get(one["id"]):
            found.lost += 1
            found.find("never set off:", instance, one["name"], one["id"])


def _repetitions(found: Judgement, trial: Trial, load: Load, rows: Rows) -> None:
    """What is sent once more now is told as a duplicate, and changes nothing."""
    taken = [s for s in load.ledger if s.accepted and s.message.kind == "lifecycle"]
    for sent in trial.rng.sample(taken, min(len(taken), _SAMPLE)):
        known = set(sent.ids)
        attempt = load.again(sent)
        if attempt.word != "duplicate" or attempt.delivery not in known:
            found.twice += 1
            found.find("a repetition was not told as one:", attempt, sent.message.instance)
    trial.settle()
    after = register(trial)
    for instance in rows.keys() | after.keys():
        if rows.get(instance) != after.get(instance):
            found.twice += 1
            found.find("a repetition moved", instance)


def _books(found: Judgement, trial: Trial) -> None:
    """The product's own audit agrees, and the register can be folded anew from the log."""
    for command in (("audit",), ("rebuild", "--check")):
        ended = trial.cli(*command)
        if ended.code != 0:
            found.find(f"innkeeper {' '.join(command)}:", ended.code, ended.out, ended.err)


def _outcome(trial: Trial, delivery: str) -> str | None:
    answer = trial.api(f"/deliveries/{delivery}")
    return str(answer.document["outcome"]) if answer.status == 200 else None


def _pages(trial: Trial, path: str) -> list[dict[str, Any]]:
    found = []
    while path:
        answer = trial.api(path)
        assert answer.status == 200, answer
        found += answer.document
        path = (answer.next or "").removeprefix(f"http://127.0.0.1:{trial.ports['console']}")
    return found
