"""With which keys a request may be signed: the provider's, and customers' as they are learned.

The provider's come from the configuration or from discovery; a customer's from the store, where
apply puts them, and are looked up again after a second at most. While the store is away, those
known so far serve; what they do not settle cannot be looked up, which is no refusal.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from innkeeper.config import Discovery, XurrentApp
from innkeeper.lifecycle.errors import Reason, Rejected
from innkeeper.lifecycle.events import InstanceKey, SigningPolicy
from innkeeper.platforms.admission import Wanted
from innkeeper.store.connection import AsyncStore
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.policies import policy_command, read_policies
from innkeeper_receiver.discovery import DiscoveredKeys

_FRESH_SECONDS = 1.0
_MAX_CUSTOMERS = 20_000


@dataclass(slots=True)
class _Known:
    """What the store said of a customer; `failed_at`: the last look-up after a failure."""

    answer: bytes | None
    looked_at: float
    failed_at: float

    def is_fresh(self, tick: float) -> bool:
        """Whether it was looked up within the last second."""
        return tick - self.looked_at < _FRESH_SECONDS


class SigningKeys:
    """Finds the signing policies that a request names."""

    def __init__(self, store: AsyncStore, discovered: DiscoveredKeys) -> None:
        """Use the store for customers and discovery for providers that offer it."""
        self._store = store
        self._discovered = discovered
        self._customers: OrderedDict[InstanceKey, _Known] = OrderedDict()
        self._away_until = 0.0

    async def find(
        self, app: XurrentApp, wanted: Wanted, *, now: float
    ) -> tuple[SigningPolicy, ...]:
        """The policies of whom `wanted` names, newest first; `now` in seconds.

        Raises Rejected (nobody known by that name), KeysUnavailable, StoreUnavailable, StoreError.
        """
        if wanted.account is not None:
            known = await self._customer(_customer(app, wanted))
            return self._policies(app, known, now)
        if not isinstance(app.policy, Discovery):
            return (app.policy,) if app.policy else ()
        policy = None
        if wanted.issuer and wanted.kid:
            policy = await self._discovered.find(
                wanted.issuer,
                wanted.kid,
                algorithm=app.policy.algorithm,
                audience=app.policy.audience,
            )
        if policy is None:
            raise Rejected(Reason.UNKNOWN_KEY, f"no key with kid {wanted.kid!r:.80}")
        return (policy,)

    async def find_again(
        self, app: XurrentApp, wanted: Wanted, *, now: float
    ) -> tuple[SigningPolicy, ...]:
        """After a failed verification: a customer's policies looked up anew, else none.

        At most once a second and customer: a flood of bad tokens causes no flood of look-ups.
        """
        key = _customer(app, wanted) if wanted.account is not None else None
        known = self._customers.get(key) if key else None
        if key is None or known is None or known.answer is None:
            return ()
        tick = time.monotonic()
        if known.is_fresh(tick) and tick - known.failed_at < _FRESH_SECONDS:
            return ()
        fresh = await self._look_up(key)
        fresh.failed_at = tick
        return self._policies(app, fresh, now) if fresh.answer != known.answer else ()

    def forget(self) -> None:
        """Drop what was looked up: the store is another one."""
        self._customers.clear()

    async def _customer(self, key: InstanceKey) -> _Known:
        known = self._customers.get(key)
        if known is not None and known.is_fresh(time.monotonic()):
            return known
        try:
            return await self._look_up(key)
        except (StoreUnavailable, StoreError):
            if known is None or known.answer is None:
                raise
            return known

    async def _look_up(self, key: InstanceKey) -> _Known:
        if time.monotonic() < self._away_until:
            raise StoreUnavailable("the store was away within the last second")
        try:
            answer = await self._store.command(*policy_command(key))
        except (StoreUnavailable, StoreError):
            self._away_until = time.monotonic() + _FRESH_SECONDS
            raise
        before = self._customers.pop(key, None)
        known = _Known(answer, time.monotonic(), before.failed_at if before else 0.0)
        self._customers[key] = known
        while len(self._customers) > _MAX_CUSTOMERS:
            self._customers.popitem(last=False)
        return known

    def _policies(self, app: XurrentApp, known: _Known, now: float) -> tuple[SigningPolicy, ...]:
        grace = app.previous_key_grace
        policies = read_policies(known.answer, now=now, grace_seconds=grace)
        if not policies:
            raise Rejected(Reason.UNKNOWN_ACCOUNT, "no signing policy is known for that account")
        return policies


def _customer(app: XurrentApp, wanted: Wanted) -> InstanceKey:
    return InstanceKey(app.platform, app.name, wanted.account or "")
