"""Perform: follow-ups that are called, in order, within their time, and again where that helps."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from innkeeper import Permanent, Temporary
from innkeeper.bells import BellName
from innkeeper.config import FollowUp
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.store.dead_letters import DeadLetter
from innkeeper.store.keys import keys_of
from innkeeper.store.outbox import LaneKind, Taken
from innkeeper_workers.performing import Performing, Task
from tests.conftest import KEY as RING_KEY
from tests.lifecycle.telling import DISABLED, KEY, SUSPENDED, brings, states
from tests.processes import python
from tests.standing import open_work
from tests.workers import calls
from tests.workers.conftest import PARTITION, Inn, MakeInn, follow_up

# `held` takes the alarm that pytest-timeout would wait for.
pytestmark = pytest.mark.timeout(60, method="thread")

SECRET = "s3cret \"quoted\" ü-value"  # fmt: skip
WINDMILL = InstanceKey("market", "tides", "windmill")
APP_EVENT = Event(type="automation_rule", kind=EventKind.APP_EVENT, payload={"tide": "high"})


def seen_names() -> list[str]:
    """Which transitions follow-ups were called with, in this order."""
    return [transition.name for transition, _, _ in calls.seen]


def letters(inn: Inn) -> list[DeadLetter]:
    """The dead letters, newest first."""
    return inn.desk.dead_letters.newest(10)


def test_a_follow_up_is_called_with_what_it_needs(inn: Inn):
    """The transition, the instance as the API has it, and the context."""
    inn.tell(brings(1, {"application.client_secret": SECRET}), states(2))
    assert inn.perform() == 1
    ((transition, instance, context),) = calls.seen
    (work,) = inn.works()
    enabled = inn.desk.register.transitions(KEY)[-1]
    assert {name: transition[name] for name in ("id", "name", "from_status", "to_status")} == {
        "id": enabled.id, "name": "enabled", "from_status": None, "to_status": "enabled",
    }  # fmt: skip
    assert (transition.cause, transition.delivery) == ("stated", enabled.delivery)
    assert (instance.id, instance.status) == (str(KEY), "enabled")
    assert instance["facts"] == {}
    assert (context.idempotency_key, context.attempt) == (work.work.id, 1)
    assert context.secrets == {"application.client_secret": SECRET}
    assert (context.api, context.event.type, context.event.order) == (None, "stated", "audit:2")
    assert SECRET not in repr(context)
    assert (work.state, work.attempts, open_work(inn.desk.store)) == ("done", 1, 0)


def test_an_app_event_brings_what_was_sent(make_inn: MakeInn):
    """The payload of the customer's account, and None for an instance that nobody knows."""
    inn = make_inn(follow_up("record", "app_event"))
    inn.tell(APP_EVENT)
    inn.perform()
    ((transition, instance, context),) = calls.seen
    assert (transition.name, instance) == ("app_event", None)
    assert context.event.payload == {"tide": "high"}


def test_a_delivery_that_is_no_longer_kept_is_none(inn: Inn):
    """The follow-up runs all the same; its `event` is None."""
    inn.tell(states(1))
    inn.desk.store.command("XTRIM", keys_of(PARTITION).log, "MAXLEN", 0)
    inn.perform()
    assert calls.seen[0][2].event is None


def test_transitions_are_followed_in_order(inn: Inn):
    """Whatever has piled up for an instance is done one after the other, once each."""
    inn.tell(states(1), states(2, SUSPENDED), states(3), states(4, DISABLED))
    assert inn.perform() == 4
    assert seen_names() == ["enabled", "suspended", "resumed", "disabled"]
    assert len({context.idempotency_key for _, _, context in calls.seen}) == 4
    assert inn.perform() == 0


def test_what_is_behind_a_failure_waits(make_inn: MakeInn):
    """While the head of a lane waits for its next try nothing behind it is done."""
    inn = make_inn(follow_up("fail"))
    calls.raised.append(Temporary(20))
    inn.tell(states(1), states(2, SUSPENDED))
    assert inn.perform() == 1
    assert [work.state for work in inn.works()] == ["later", "waiting"]
    inn.tell(states(3))
    assert inn.perform() == 0
    inn.hurry()
    assert inn.perform() == 3
    assert seen_names() == ["enabled", "enabled", "suspended", "resumed"]
    assert [context.attempt for _, _, context in calls.seen] == [1, 2, 1, 1]
    assert calls.seen[0][2].idempotency_key == calls.seen[1][2].idempotency_key


def test_lanes_do_not_wait_for_each_other(make_inn: MakeInn):
    """An app event is passed on while the instance's life waits."""
    inn = make_inn(follow_up("later", "enabled"), follow_up("record", "app_event"))
    inn.tell(states(1), APP_EVENT)
    inn.perform()
    assert {work.work.lane: work.state for work in inn.works()} == {
        LaneKind.LIFECYCLE: "later",
        LaneKind.APP: "done",
    }


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Temporary(30), 30),
        (Temporary(timedelta(minutes=2)), 120),
        (Temporary(0), 0),
        (Temporary(-5), 0),
        (Temporary(), 5),
        (Temporary("not now"), 5),
        (ValueError("anything else"), 5),
        (KeyError("x"), 5),
        (SystemExit(1), 5),
        (KeyboardInterrupt(), 5),
        (RecursionError(), 5),
    ],
)
def test_what_fails_is_tried_again_later(make_inn: MakeInn, error: BaseException, seconds: float):
    """After the delay that it names, else after one of ours, whatever is raised."""
    inn = make_inn(follow_up("fail"))
    calls.raised.append(error)
    inn.tell(states(1))
    if seconds == 0:
        assert inn.perform() == 2
        assert inn.works()[0].state == "done"
        return
    assert inn.perform() == 1
    (work,) = inn.works()
    assert (work.state, work.attempts) == ("later", 1)
    assert type(error).__name__ in work.error
    due = inn.due_in()
    assert due is not None
    assert seconds - 2 < due <= seconds
    assert letters(inn) == []


def test_delays_grow(make_inn: MakeInn):
    """Each try without a delay of its own waits twice as long as the one before."""
    inn = make_inn(follow_up("fail"))
    calls.raised.extend(OSError("down") for _ in range(4))
    inn.tell(states(1))
    waits = []
    for _ in range(4):
        assert inn.perform() == 1
        waits.append(round(inn.due_in() or 0))
        inn.hurry()
    assert waits == [5, 10, 20, 40]
    assert inn.perform() == 1
    assert inn.works()[0].state == "done"


@pytest.mark.parametrize("error", [Temporary(20), ValueError("broken")])
def test_after_an_hour_it_is_given_up(make_inn: MakeInn, error: Exception):
    """A dead letter with the number of attempts; the lane goes on."""
    inn = make_inn(follow_up("fail"))
    calls.raised.extend([error, error, error])
    inn.tell(states(1), states(2, SUSPENDED))
    inn.perform()
    (work, _) = inn.works()
    name = keys_of(PARTITION).work + work.work.id
    for age, state in ((3500, "later"), (3700, "dead")):
        inn.desk.store.command("HSET", name, "first_at", int((time.time() - age) * 1000))
        inn.hurry()
        inn.perform()
        assert inn.works()[0].state == state
    assert inn.works()[1].state == "done"
    (letter,) = letters(inn)
    assert (letter.subject, letter.name, letter.attempts) == ("work", "fail", 3)
    assert (letter.work, letter.instance) == (work.work.id, str(KEY))


def test_permanent_is_given_up_at_once(make_inn: MakeInn):
    """And the lane goes on with what is behind it."""
    inn = make_inn(follow_up("fail"))
    calls.raised.append(Permanent("no such customer"))
    inn.tell(states(1), states(2, SUSPENDED))
    assert inn.perform() == 2
    assert [work.state for work in inn.works()] == ["dead", "done"]
    (letter,) = letters(inn)
    assert letter.error == "Permanent: no such customer"
    assert letter.entry.startswith(inn.works()[0].work.entry)


def test_a_block_waits_for_an_operator(make_inn: MakeInn):
    """With `on_failure = "block"` nothing behind a dead letter is done until it is requeued."""
    inn = make_inn(follow_up("fail", on_failure="block"))
    calls.raised.append(Permanent("no"))
    inn.tell(states(1), states(2, SUSPENDED))
    assert inn.perform() == 1
    assert [work.state for work in inn.works()] == ["dead", "waiting"]
    inn.tell(states(3))
    assert inn.perform() == 0
    (letter,) = letters(inn)
    assert inn.desk.outbox.revive(letter, requeue=True)
    assert inn.perform() == 3
    assert seen_names() == ["enabled", "enabled", "suspended", "resumed"]
    assert letters(inn) == []


@pytest.mark.parametrize("function", ["tests.workers.calls:nothing", "no.such.module:f"])
def test_what_cannot_be_found_is_given_up(make_inn: MakeInn, function: str):
    """A follow-up that cannot be imported will not be there in a minute either."""
    inn = make_inn(FollowUp(name="lost", on=("enabled",), call=function))
    inn.tell(states(1))
    inn.perform()
    (letter,) = letters(inn)
    assert "cannot be imported" in letter.error


def test_what_is_no_longer_configured_is_given_up(make_inn: MakeInn, inn: Inn):
    """The dead letter names the follow-up; another one's work is done."""
    inn.tell(states(1))
    other = make_inn(follow_up(name="another"))
    other.tell(states(2, SUSPENDED))
    assert other.perform() == 2
    (letter,) = letters(inn)
    assert "'record' is configured" in letter.error
    assert seen_names() == ["suspended"]


def test_a_dead_letter_tells_no_secret(make_inn: MakeInn):
    """Its traceback leads to the place, and holds neither the customer's secrets nor ours."""
    inn = make_inn(follow_up("give_up"), api_tokens=("our-own-token",))
    inn.tell(brings(1, {"application.client_secret": SECRET}), states(2))
    inn.perform()
    (letter,) = letters(inn)
    (work,) = inn.works()
    assert "calls.py" in letter.detail
    assert "Permanent" in letter.detail
    for told in (letter.error, letter.detail, work.error):
        assert "s3cret" not in told
        assert "abcdefgh12345678" not in told
    assert "[redacted]" in letter.error


@pytest.mark.parametrize("function", ["sleep", "swallow"])
def test_time_is_limited(make_inn: MakeInn, function: str):
    """A follow-up that sleeps, or lets no exception out, is ended at its limit and tried again."""
    inn = make_inn(follow_up(function, timeout=0.2))
    inn.tell(states(1))
    started = time.monotonic()
    assert inn.perform() == 1
    assert time.monotonic() - started < 2
    (work,) = inn.works()
    assert (work.state, work.error) == ("later", "its time was up")
    assert calls.raised == []


HANGING = """
import signal, sys, time
from pathlib import Path
from innkeeper.bells import BellName
from innkeeper.config import Config, FollowUp, QueueSection, StoreSection
from innkeeper.operations.desk import open_desk
from innkeeper_workers.perform import task_of
from innkeeper_workers.performing import Performing

def blocked(*_):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    while True:
        time.sleep(60)

def stubborn(*_):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

url, name = sys.argv[1:]
sys.modules["vendor"] = sys.modules["__main__"]
follow_up = FollowUp(name="hang", on=("enabled",), call=f"vendor:{name}", timeout=0.2)
desk = open_desk(Config(
    data=Path("."), store=StoreSection(url=url), queue=QueueSection(url=url),
    follow_ups=(follow_up,), secret_keys=(bytes.fromhex("%s"),),
))
Performing(desk, BellName.PERFORM, task_of).look()
"""


def test_a_hang_ends_the_process(make_inn: MakeInn):
    """Where no exception gets through, the process ends within 5 s of the limit; the work is
    settled by then, and tried again by another."""
    inn = make_inn(follow_up(name="hang", on=("enabled",)))
    inn.tell(states(1))
    inn.tell(states(1), key=WINDMILL)
    started = time.monotonic()
    source, url = HANGING % RING_KEY.hex(), inn.desk.store.url
    with python(source, url, "blocked") as one, python(source, url, "stubborn") as other:
        assert (one.wait(15), other.wait(15)) == (1, 1)
    assert time.monotonic() - started < 10
    for work in inn.works() + inn.works(WINDMILL):
        assert (work.state, work.error) == ("later", "it hung and was killed")
    inn.hurry()
    assert inn.perform() == 1
    assert inn.works()[0].state == "done"


def test_who_has_lost_the_lease_settles_nothing(inn: Inn):
    """Work that another has taken over is settled by that one alone."""
    inn.tell(states(1))
    outbox = inn.desk.outbox
    inside: list[Taken | None] = []

    def slow() -> None:
        inn.hurry()
        inside.append(outbox.take(PARTITION, BellName.PERFORM))

    assert Performing(inn.desk, BellName.PERFORM, lambda *_: Task(slow, 5.0)).look()
    (work,) = inn.works()
    assert (work.state, work.attempts) == ("running", 2)
    (other,) = inside
    assert other is not None
    assert outbox.done(other)
    assert inn.works()[0].state == "done"


def test_a_held_lane_is_nobody_elses(inn: Inn):
    """While a follow-up runs, no other worker gets the lane's head, nor what is behind it."""
    inn.tell(states(1), states(2, SUSPENDED))
    inside: list[Taken | None] = []

    def slow() -> None:
        inside.append(inn.desk.outbox.take(PARTITION, BellName.PERFORM))

    assert Performing(inn.desk, BellName.PERFORM, lambda *_: Task(slow, 5.0)).look()
    assert inside == [None]


def test_a_missing_key_waits(make_inn: MakeInn, inn: Inn):
    """Where the instance's secrets cannot be opened now, the work waits and is not given up."""
    inn.tell(brings(1, {"a": "a1"}), states(2))
    strange = make_inn(follow_up(), secret_keys=(bytes(32),))
    for _ in range(3):
        assert strange.perform() == 1
        inn.hurry()
    (work,) = inn.works()
    assert (work.state, work.error[:10]) == ("later", "MissingKey")
    assert letters(inn) == []
    assert inn.perform() == 1
    assert calls.seen[-1][2].secrets == {"a": "a1"}


def test_others_are_called_to_help(make_inn: MakeInn):
    """Where more is due than one can do, the bell is rung before the follow-up runs."""
    inn = make_inn(follow_up())
    inn.tell(states(1), APP_EVENT)
    inn.tell(states(1), key=WINDMILL)
    inn.desk.queue.command("DEL", "rq:queue:innkeeper-perform", "ik:bell:perform")
    rung: list[int] = []

    def look() -> None:
        rung.append(inn.desk.queue.command("LLEN", "rq:queue:innkeeper-perform"))

    performing = Performing(inn.desk, BellName.PERFORM, lambda *_: Task(look, 5.0))
    while performing.look():
        pass
    assert rung == [1, 1]


def test_what_kills_its_process_is_given_up(make_inn: MakeInn):
    """Work whose attempts were never settled is not run again and again without end."""
    inn = make_inn(follow_up("record", "enabled"))
    inn.tell(states(1))
    store, (name,) = inn.desk.store, inn.desk.store.command("KEYS", f"{keys_of(PARTITION).work}*")
    store.command("HSET", name, "state", "running", "lost", 9)
    inn.perform()
    assert calls.seen == []
    (letter,) = inn.desk.dead_letters.newest(10)
    assert letter.error == "Permanent: 10 attempts ended with their process"
