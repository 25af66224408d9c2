"""Raw bytes: slow, idle, huge, broken and random ones, all at once, beside a sender in earnest."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import LOAD
from tests.faults.customers import NOTES
from tests.faults.history import History
from tests.faults.judging import ANSWER_WITHIN_SECONDS, judge
from tests.faults.load import Load, Sent
from tests.faults.trial import Trial
from tests.receiver.running import Listening, head
from tests.receiver.test_edge import BROKEN

PATH = f"/hooks/xurrent/{NOTES.reference}"
SLOW, IDLE = 900, 5000
HUGE_BYTES = 200 << 20
MOST_BYTES = 128 << 20
"""So much the receiver may grow by meanwhile."""
LEAST_SECONDS, PAUSE_SECONDS = 4, 0.03
CONFIGURATION = '[receiver]\nheaders_within = "5s"\nbody_within = "5s"\n'
ODD = (b"\xef\xbb\xbf", b"\r\n", "⚓\U0001f30a".encode(), b'"\\u0000\\ud800"', b"\x00", b"{" * 5000)


class Attackers(Listening):
    """Whoever sends what is no delivery, until the end of the block."""

    def __init__(self, trial: Trial) -> None:
        self.port = trial.ports["receiver"]
        self._over = threading.Event()
        lasting = [self.slow, self.idle]
        ending = [self.huge, self.heads, self.garbage, self.broken]
        self._threads = [
            threading.Thread(target=attack, args=(random.Random(trial.rng.random()),))
            for attack in lasting + ending
        ]
        self._ending = self._threads[len(lasting) :]
        self._held: dict[int, int] = {}

    def __enter__(self) -> Attackers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def ended(self) -> bool:
        """Whether all connections have been opened, and all has been sent on the others."""
        opened = all(self._held.get(count) == count for count in (SLOW, IDLE))
        return opened and not any(thread.is_alive() for thread in self._ending)

    def slow(self, rng: random.Random) -> None:
        """Half heads and half bodies, held; a byte more now and then."""
        body = head(PATH, "Content-Length: 5000") + b'{"jwt": "' + b"x" * 1000
        with self._opened(SLOW) as connections:
            for number, one in enumerate(connections):
                one.sendall(body[: 60 if number % 2 else len(body)])
            while not self._over.wait(0.5):
                for one in rng.sample(connections, 50):
                    with contextlib.suppress(OSError):  # it has been given up
                        one.sendall(b"x")

    def idle(self, rng: random.Random) -> None:
        """Connections on which nothing is ever sent."""
        with self._opened(IDLE):
            self._over.wait()

    def huge(self, rng: random.Random) -> None:
        """Bodies of 200 MB, announced or in chunks."""
        piece = b"x" * (1 << 20)
        for way in ("announced", "chunked"):
            announced = way == "announced"
            first = f"Content-Length: {HUGE_BYTES}" if announced else "Transfer-Encoding: chunked"
            with contextlib.suppress(OSError), self.connected() as one:
                one.sendall(head(PATH, first))
                for _ in range(HUGE_BYTES // len(piece)):
                    one.sendall(piece if announced else b"%x\r\n%s\r\n" % (len(piece), piece))

    def heads(self, rng: random.Random) -> None:
        """Ten thousand headers; a query of 8 kB and one of 8 MB; compressed bodies."""
        many = [f"X-{number}: y" for number in range(10_000)]
        packed = gzip.compress(b"{}" * (1 << 20))
        for sent in (
            head(PATH, *many),
            head(f"{PATH}?x={'y' * 8_000}", "Content-Length: 2") + b"{}",
            head(f"{PATH}?x={'y' * 8_000_000}"),
            head(PATH, "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed,
            head(PATH, "Content-Encoding: br", "Content-Length: 2") + b"{}",
        ):
            self._once(sent)

    def garbage(self, rng: random.Random) -> None:
        """Random bytes, as a request and as a body, whole, half or with a wrong length."""
        for _ in range(300 * LOAD):
            noise = rng.choice(ODD) + rng.randbytes(rng.randrange(2000))
            length = len(noise) + rng.choice((0, 0, -1, 1, 100))
            as_body = head(PATH, f"Content-Length: {max(0, length)}") + noise
            self._once(rng.choice((noise, as_body, as_body[: rng.randrange(len(as_body))])))

    def broken(self, rng: random.Random) -> None:
        """Requests that two could read differently."""
        for sent in list(BROKEN.values()) * LOAD:
            self._once(sent)

    def _once(self, sent: bytes) -> None:
        """Send it, and hang up without reading."""
        with contextlib.suppress(OSError), self.connected() as one:
            one.sendall(sent)

    @contextlib.contextmanager
    def _opened(self, count: int) -> Iterator[list[socket.socket]]:
        with contextlib.ExitStack() as stack:
            connections: list[socket.socket] = []
            while len(connections) < count and not self._over.is_set():
                with contextlib.suppress(OSError):
                    connections.append(stack.enter_context(self.connected()))
                self._held[count] = len(connections)
            yield connections


def test_raw_bytes_hold_up_nobody(make_trial, seed):
    """Each delivery of a sender in earnest is answered 2xx at its first try and within 5 s, all
    of them are there in the end, and the receiver's memory stays small."""
    trial = make_trial(seed, configuration=CONFIGURATION)
    receiver = trial.pids("receiver")[0]
    before = _memory(receiver, "VmRSS")
    load = trial.load(customers=0, steps=0)
    with _many_files(), Attackers(trial) as attackers:
        until = time.monotonic() + LEAST_SECONDS * LOAD
        while time.monotonic() < until or not attackers.ended:
            _send(load, trial.rng)
            time.sleep(PAUSE_SECONDS)
    grown = _memory(receiver, "VmHWM") - before
    slowest = max(one.attempts[0].seconds for one in load.ledger)
    print(f"receiver: {before >> 20} MiB, grown by {grown >> 20}; slowest {slowest:.2f} s")
    assert grown < MOST_BYTES
    assert trial.pids("receiver") == [receiver]
    trial.fault_over()
    settled = trial.settle()
    what = f"{SLOW} slow and {IDLE:,} idle connections, 200 MB, 10,000 headers, garbage, at once"
    judge(trial, load, fault="14", what=what, settled_seconds=settled)


def _send(load: Load, rng: random.Random) -> None:
    """A customer's installation on a connection of its own: one try."""
    history = History(NOTES, f"earnest-{len(load.ledger)}", 1)
    sent = Sent(history.says("create", suspended=rng.random() < 0.5))
    load.ledger.append(sent)
    attempt = load.again(sent)
    assert attempt.taken, attempt
    assert attempt.seconds < ANSWER_WITHIN_SECONDS, attempt


def _memory(pid: int, name: str) -> int:
    """Bytes; `VmRSS`: in memory now, `VmHWM`: the most that ever were."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    """This process may open as many connections as it takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SLOW + IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        reason = f"this machine lets a process open no more than {hard} files"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
