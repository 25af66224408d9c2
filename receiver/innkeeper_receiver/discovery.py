"""The receiver's cache of discovered keys: which policy an issuer's `kid` stands for.

Called by the edge for tokens of issuers in discovery mode. Bounds what strangers can make us
fetch, and never lets a failure replace good keys. Knows neither HTTP nor documents: it is given
the function that fetches, which runs in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from innkeeper.lifecycle.events import SigningPolicy

Fetch = Callable[[str, str | None, str | None], dict[str, SigningPolicy]]
"""issuer, algorithm, audience -> policies by `kid`; blocks; raises whatever went wrong."""

FRESH_SECONDS = 3600.0
STALE_SECONDS = 24 * 3600.0
"""For how long good keys serve while fetching them anew keeps failing."""
RETRY_SECONDS = 60.0
MAX_ISSUERS = 64
MAX_UNPROVEN_FETCHES = 10
"""In RETRY_SECONDS, in all, for issuers that have never given a key."""

_FETCHING_THREADS = 8
_Place = tuple[str, str | None, str | None]


class KeysUnavailable(Exception):
    """An issuer's keys cannot be looked up now: neither yes nor no."""


class _Issuer:
    """What is known of one issuer under one algorithm and audience. Times are monotonic."""

    __slots__ = ("failure", "fetched_at", "keys", "task", "tried_at")

    def __init__(self) -> None:
        self.keys: dict[str, SigningPolicy] = {}
        self.fetched_at: float | None = None  # when it last gave keys; None: it never has
        self.tried_at: float | None = None
        self.failure: Exception | None = None  # of the last try
        self.task: asyncio.Task[None] | None = None

    def is_fresh(self, now: float) -> bool:
        return self.fetched_at is not None and now - self.fetched_at < FRESH_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether another try is allowed."""
        return self.task is None and (self.tried_at is None or now - self.tried_at >= RETRY_SECONDS)

    def known(self, kid: str, now: float) -> SigningPolicy | None:
        if self.fetched_at is None or now - self.fetched_at >= STALE_SECONDS:
            return None
        return self.keys.get(kid)


class DiscoveredKeys:
    """Keys by issuer and `kid`, fetched when needed; lives on one event loop.

    An issuer asked for with another algorithm or audience counts as another one: these come from
    our own policies.
    """

    def __init__(self, fetch: Fetch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._issuers: dict[_Place, _Issuer] = {}  # the last used stands last
        self._unproven_fetches: deque[float] = deque(maxlen=MAX_UNPROVEN_FETCHES)
        # Not the loop's own threads: in those tokens are verified, and a fetch may hang.
        self._threads = ThreadPoolExecutor(_FETCHING_THREADS, thread_name_prefix="discovery")

    async def find(
        self, issuer: str, kid: str, *, algorithm: str | None, audience: str | None
    ) -> SigningPolicy | None:
        """The policy of `issuer`'s key `kid`; None where the issuer has no such key.

        May wait for a fetch. Raises KeysUnavailable.
        """
        place = (issuer, algorithm, audience)
        held = self._held(place)
        now = self._monotonic()
        policy = held.known(kid, now)
        if policy is not None and held.is_fresh(now):
            return policy
        if held.is_due(now):
            self._start(place, held, now)
        # Good keys whose renewal is failing do not make the sender wait for one more failure.
        if held.task is not None and (policy is None or held.failure is None):
            # The fetch is everybody's: a request that goes away leaves it running.
            await asyncio.shield(held.task)
            policy = held.known(kid, self._monotonic())
        if policy is None and held.failure is not None:
            raise KeysUnavailable(f"keys of {issuer}: {held.failure}") from held.failure
        return policy

    def _held(self, place: _Place) -> _Issuer:
        held = self._issuers.pop(place, None)
        if held is None:
            self._check_unproven(place, self._monotonic())  # before anybody is sent away for it
            self._make_room()
            held = _Issuer()
        self._issuers[place] = held
        return held

    def _make_room(self) -> None:
        """Send away who never gave a key, else the one not used for longest."""
        if len(self._issuers) < MAX_ISSUERS:
            return
        idle = [place for place, held in self._issuers.items() if held.task is None]
        if not idle:
            raise KeysUnavailable("too many issuers are being asked for keys")
        unproven = (place for place in idle if self._issuers[place].fetched_at is None)
        del self._issuers[next(unproven, idle[0])]

    def _check_unproven(self, place: _Place, now: float) -> None:
        recent = self._unproven_fetches
        if len(recent) == MAX_UNPROVEN_FETCHES and now - recent[0] < RETRY_SECONDS:
            raise KeysUnavailable(f"keys of {place[0]}: too many unknown issuers at once")

    def _start(self, place: _Place, held: _Issuer, now: float) -> None:
        if held.fetched_at is None:
            self._check_unproven(place, now)
            self._unproven_fetches.append(now)
        held.tried_at = now
        held.task = asyncio.create_task(self._renew(place, held))

    async def _renew(self, place: _Place, held: _Issuer) -> None:
        loop = asyncio.get_running_loop()
        try:
            keys = await loop.run_in_executor(self._threads, self._fetch, *place)
        except Exception as error:
            held.failure = error
        else:
            held.keys, held.fetched_at, held.failure = keys, self._monotonic(), None
        finally:
            held.task = None
