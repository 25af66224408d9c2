"""Bells: rung once for many, answered by real RQ workers, and no way to have anything else run."""

from __future__ import annotations

import contextlib
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rq import Callback, Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from innkeeper.bells import ANSWERS, Bell, BellJob, BellName, queue_of
from innkeeper.store.connection import Store
from innkeeper.store.keys import keys_of
from innkeeper_workers import process
from tests.conftest import MakeDesk
from tests.sites import reply, site
from tests.store.making import PARTITION, new_entry
from tests.store.servers import server

APPLY = ANSWERS[BellName.APPLY]


def note(path: str, *_: object) -> None:
    """What somebody else would have our workers do."""
    Path(path).touch()


def note_callback(job: Job, *_: object) -> None:
    """The same, as a callback: the path stands in the job's meta."""
    note(job.meta["path"])


def _jobs(store: Store, bell: BellName = BellName.APPLY) -> list[str]:
    return queue_of(bell, store).job_ids


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """RQ's workers install handlers of their own."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _work_off(store: Store, job_class: type[Job] = BellJob) -> None:
    """A real worker answers all jobs of the apply bell, and goes."""
    queue = Queue(
        "innkeeper-apply",
        connection=store.redis,
        serializer=JSONSerializer,
        job_class=job_class,
    )
    worker = SimpleWorker(
        [queue], connection=store.redis, job_class=job_class, serializer=JSONSerializer
    )
    with _signals_kept():
        worker.work(burst=True, logging_level="CRITICAL")


def _enqueue(store: Store, func: str, *args: Any, **options: Any) -> Job:
    """A job as anybody who can write to the queue server may make it."""
    queue = Queue("innkeeper-apply", connection=store.redis, serializer=JSONSerializer)
    return queue.enqueue(func, *args, **options)


# Ringing


def test_a_bell_rung_twice_sends_one_job(store: Store):
    """Until a job has begun, further rings add none; afterwards they do."""
    bell = Bell(BellName.APPLY, store)
    assert [bell.ring() for _ in range(3)] == [True, True, True]
    assert len(_jobs(store)) == 1
    assert _jobs(store, BellName.PERFORM) == []
    bell.answer(lambda: False, linger=False)
    assert bell.ring()
    assert len(_jobs(store)) == 2


def test_what_a_job_says(store: Store):
    """A job names the bell's answer and nothing else, under a random id, and leaves nothing."""
    for name in BellName:
        assert Bell(name, store).ring()
        (job,) = queue_of(name, store).jobs
        assert (ANSWERS[name], [], {}) == (job.func_name, list(job.args), job.kwargs)
        assert (job.result_ttl, job.failure_ttl) == (0, 0)
        assert job.retries_left
    store.command("FLUSHALL")
    assert Bell(BellName.APPLY, store).ring()
    assert _jobs(store) != [job.id]


def test_no_bell_while_somebody_listens(store: Store):
    """A job that lingers hears a ring itself: it costs no further job, and finds the work."""
    bell = Bell(BellName.APPLY, store)
    heard: list[float] = []
    rung: list[bool] = []
    began = time.monotonic()

    def look() -> bool:
        heard.append(time.monotonic() - began)
        return False

    def look_and_ring() -> bool:
        found = look()
        if len(rung) < 3:
            # Soon after each look, while the job lingers.
            rung.append(bell.ring())
        return found

    bell.answer(look_and_ring, linger=True)
    assert rung == [True] * 3
    assert len(heard) >= 3
    assert 0.9 < time.monotonic() - began < 3
    assert len(_jobs(store)) <= 1


def test_a_long_piece_of_work_is_handed_on(store: Store):
    """After about two seconds of work a job ends, and rings for the next."""
    bell, looks = Bell(BellName.APPLY, store), []

    def look() -> bool:
        looks.append(1)
        time.sleep(0.1)
        return True

    began = time.monotonic()
    bell.answer(look, linger=True)
    assert 1.9 < time.monotonic() - began < 3
    assert len(_jobs(store)) == 1


def test_what_comes_while_a_job_looks_is_not_lost(store: Store):
    """A ring during the look itself finds the flag down, and so sends a job."""
    bell = Bell(BellName.APPLY, store)
    bell.ring()
    first = set(_jobs(store))

    def look() -> bool:
        bell.ring()
        return False

    bell.answer(look, linger=False)
    assert len(set(_jobs(store)) - first) == 1


def test_no_queue_server():
    """Ringing without a server says that it could not be done, and raises nothing."""
    with contextlib.closing(Store("unix:///tmp/ik-nobody-listens-here")) as away:
        assert not Bell(BellName.APPLY, away).ring()


def test_a_queue_server_that_takes_no_job():
    """Nor does it raise when the flag can be set, and the job cannot be sent."""
    with server() as running, contextlib.closing(Store(running.url)) as store:
        store.command("ACL", "SETUSER", "ringer", "on", ">p", "~*", "+@all", "-rpush", "-lpush")
        with contextlib.closing(Store(running.url + "?username=ringer&password=p")) as limited:
            assert not Bell(BellName.APPLY, limited).ring()
        running.kill()
        assert not Bell(BellName.APPLY, store).ring()


# Answering


@pytest.fixture
def desk(make_desk: MakeDesk) -> Iterator[Any]:
    """The desk that jobs of this process work with."""
    opened = make_desk()
    process.hold(opened)
    yield opened
    process._held.clear()


def test_a_bell_is_answered(store: Store, desk: Any):
    """A real worker answers a bell: what was appended is behind the cursor, and no job is left."""
    desk.log.append(new_entry())
    assert desk.bells[BellName.APPLY].ring()
    _work_off(store)
    assert not desk.outbox.probe()[PARTITION].behind
    assert store.command("GET", keys_of(PARTITION).cursor)
    assert _jobs(store) == []
    assert store.command("KEYS", "rq:job:*") == []


Hostile = Callable[[Path], dict[str, Any]]
HOSTILE: dict[str, Hostile] = {
    "os.system": lambda path: {"func": "os.system", "args": [f"touch {path}"]},
    "ours": lambda path: {"func": "tests.test_bells.note", "args": [str(path)]},
    "with arguments": lambda path: {"func": APPLY, "args": [str(path)]},
    "with names": lambda path: {"func": APPLY, "kwargs": {"path": str(path)}},
    "on success": lambda path: {
        "func": APPLY,
        "on_success": Callback("tests.test_bells.note_callback"),
        "meta": {"path": str(path)},
    },
    "on failure": lambda path: {
        "func": "os.nothing",
        "on_failure": Callback("tests.test_bells.note_callback"),
        "meta": {"path": str(path)},
    },
}


def _plant(store: Store, hostile: dict[str, Any]) -> Job:
    rest = {key: value for key, value in hostile.items() if key not in ("func", "args")}
    return _enqueue(store, hostile["func"], *hostile.get("args", ()), **rest)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_worker_runs_nothing_else(store: Store, desk: Any, tmp_path: Path, name: str):
    """Whatever a job names beside a bell's answer (programs, arguments, callbacks) is not run."""
    path = tmp_path / "done"
    job = _plant(store, HOSTILE[name](path))
    _work_off(store)
    assert not path.exists()
    expected = JobStatus.FINISHED if name == "on success" else JobStatus.FAILED
    assert expected == job.get_status()


@pytest.mark.parametrize("name", ["os.system", "ours", "on success", "on failure"])
def test_what_rq_would_run(store: Store, desk: Any, tmp_path: Path, name: str):
    """Without our class of job the same jobs are run: they are dangerous indeed."""
    path = tmp_path / "done"
    _plant(store, HOSTILE[name](path))
    _work_off(store, Job)
    assert path.exists()


def test_refused_before_it_is_imported(store: Store):
    """A refused job does not even import what it names, and says why."""
    job = BellJob.fetch(
        _enqueue(store, "antigravity.fly").id, connection=store.redis, serializer=JSONSerializer
    )
    with pytest.raises(PermissionError, match=r"not an answer to a bell: 'antigravity\.fly'"):
        job.perform()


@pytest.mark.parametrize("instance", ["text", {"a": 1}, ["x"], 7])
def test_no_method_of_anything(store: Store, instance: Any):
    """A job that names a method of a thing that it brings along has nothing to call."""
    job = _enqueue(store, APPLY)
    data = JSONSerializer.dumps([APPLY, instance, [], {}])
    store.command("HSET", job.key, "data", zlib.compress(data))
    _work_off(store)
    assert job.get_status() == JobStatus.FAILED


@pytest.mark.parametrize("job_class", [BellJob, Job])
def test_no_address_is_called(store: Store, desk: Any, job_class: type[Job]):
    """A job's webhooks, which could reach any address from inside, RQ would send; we do not."""
    with site() as inside:
        inside.replies["/"] = reply()
        hooks = [
            Webhook(f"http://127.0.0.1:{inside.port}/", status, method="POST")
            for status in ("finished", "failed")
        ]
        for func in (APPLY, "os.nothing"):
            _enqueue(store, func, webhooks=hooks)
        _work_off(store, job_class)
        assert (0 if job_class is BellJob else 2) == len(inside.requests)
