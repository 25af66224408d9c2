"""Senders that post stories side by side, and the ledger of every answer that they got."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.faults.customers import Message
from tests.processes import soon

_PATIENCE_SECONDS = 20.0
_LONGEST_PAUSE_SECONDS = 0.5
_LOOK_SECONDS = 0.01
_AT_ONCE = 40
_ORIGIN = "x-xurrent-delivery"


class Attempt(NamedTuple):
    """One request: when it was sent (time.monotonic), how long its answer took, and the answer.

    `status` None: the line broke, so that it may or may not have been taken; 0: nobody listened.
    """

    at: float
    seconds: float
    status: int | None = None
    delivery: str | None = None
    word: str | None = None
    retry_after: str | None = None

    @property
    def taken(self) -> bool:
        """Whether it was answered 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Sent:
    """A message and what became of each attempt to send it."""

    message: Message
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Whether it was answered 2xx."""
        return any(one.taken for one in self.attempts)

    @property
    def unknown(self) -> bool:
        """Whether it may have been taken, though nobody was told so."""
        doubtful = (one.status is None or one.status >= 500 for one in self.attempts)
        return not self.accepted and any(doubtful)

    @property
    def ids(self) -> set[str]:
        """The deliveries that the answers named."""
        return {one.delivery for one in self.attempts if one.delivery}


class Load:
    """Posts stories from several senders while its block runs; at its end they have all ended.

    A sender is at no more than 40 stories at once. It tries again until it is answered 2xx, at most
    `tries` times; for every fifth customer it tries but once. `repeated`: which share is sent once
    more though it was taken. `pause_seconds`: after each message.
    """

    def __init__(
        self,
        port: int,
        stories: list[list[Message]],
        rng: random.Random,
        *,
        senders: int = 8,
        tries: int = 40,
        repeated: float = 0.05,
        pause_seconds: float = 0.0,
    ) -> None:
        self.port = port
        self.tries = tries
        self.repeated = repeated
        self.pause_seconds = pause_seconds
        self.ledger: list[Sent] = []
        self.stopped = False
        self._threads = [
            threading.Thread(target=self._run, args=(stories[n::senders], rng.randrange(1 << 32)))
            for n in range(senders)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Send nothing new; what is under way ends."""
        self.stopped = True

    @property
    def accepted(self) -> int:
        """How many messages were answered 2xx so far."""
        return sum(sent.accepted for sent in list(self.ledger))

    def taken_since(self, moment: float) -> int:
        """How many requests that were sent since then (time.monotonic) were answered 2xx."""
        attempts = (one for sent in list(self.ledger) for one in list(sent.attempts))
        return sum(one.taken and one.at >= moment for one in attempts)

    def until(self, accepted: int, within_seconds: float = 60.0) -> None:
        """Wait until so many messages were answered 2xx, or all have been sent."""
        assert soon(lambda: self.accepted >= accepted or self.ended, within_seconds), self.accepted

    @property
    def ended(self) -> bool:
        """Whether every sender has sent all it had to send."""
        return not any(thread.is_alive() for thread in self._threads)

    def again(self, sent: Sent) -> Attempt:
        """Send a message once more, now."""
        with contextlib.closing(_connection(self.port)) as connection:
            attempt = _post(connection, sent.message, len(sent.attempts))
        sent.attempts.append(attempt)
        return attempt

    def _run(self, stories: list[list[Message]], seed: int) -> None:
        rng = random.Random(seed)
        lines = [_Line(story, self._tries(number)) for number, story in enumerate(stories)]
        connection = _connection(self.port)
        with contextlib.closing(connection):
            while lines := [one for one in lines if one.sent or (one.left and not self.stopped)]:
                ready = [one for one in lines[:_AT_ONCE] if one.not_before <= time.monotonic()]
                if ready:
                    self._send(connection, rng.choice(ready), rng)
                time.sleep(self.pause_seconds if ready else _LOOK_SECONDS)

    def _tries(self, number: int) -> int:
        return 1 if number % 5 == 4 else self.tries

    def _send(
        self, connection: http.client.HTTPConnection, line: _Line, rng: random.Random
    ) -> None:
        """The next attempt; whoever has to wait for another one lets the others go before."""
        sent = line.sent
        if sent is None:
            sent = line.sent = Sent(line.left.pop())
            self.ledger.append(sent)
        number = len(sent.attempts)
        attempt = _post(connection, sent.message, number)
        sent.attempts.append(attempt)
        if attempt.taken and rng.random() < self.repeated:
            sent.attempts.append(_post(connection, sent.message, number + 1))
        if attempt.taken or number + 1 >= line.tries:
            line.sent = None
        if not attempt.taken:
            pause = min(0.05 * 2**number, _LONGEST_PAUSE_SECONDS)
            line.not_before = time.monotonic() + pause


class _Line:
    """A story as its sender goes through it: what is left, and what is being sent."""

    def __init__(self, story: list[Message], tries: int) -> None:
        self.left = list(reversed(story))
        self.tries = tries
        self.sent: Sent | None = None
        self.not_before = 0.0


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)


def _post(connection: http.client.HTTPConnection, message: Message, number: int) -> Attempt:
    """One attempt, signed anew; as the marketplace names its attempts."""
    headers = {"content-type": "application/json", **message.headers}
    if message.origin is not None:
        headers[_ORIGIN] = message.origin if number == 0 else str(uuid.uuid4())
        if number:
            headers[f"{_ORIGIN}-origin"] = message.origin
    body, started = message.body(), time.monotonic()
    try:
        connection.request("POST", message.path, body, headers)
        with connection.getresponse() as response:
            said = json.loads(response.read() or b"{}")
            seconds = time.monotonic() - started
            if response.getheader("connection") == "close":
                connection.close()
            word = said.get("status") if response.status < 300 else None
            later = response.getheader("retry-after")
            return Attempt(started, seconds, response.status, said.get("delivery"), word, later)
    except ConnectionRefusedError:
        return Attempt(started, time.monotonic() - started, 0)
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        connection.close()
        return Attempt(started, time.monotonic() - started)
