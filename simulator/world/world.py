"""The whole world of a run, and chance, by which things happen in it.

The same settings and start give the same actions and messages. Sends nothing.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import datetime

from simulator.keys import KeyMaker
from simulator.settings import ACCOUNT, DOMAIN, Settings
from simulator.signing import SigningPolicy
from simulator.world import rebilly, xandr, xurrent
from simulator.world.clock import Clock
from simulator.world.customers import Customer, make_customers
from simulator.world.messages import Action, Message
from simulator.world.offerings import OFFERINGS, Offering, of_platform
from simulator.world.rebilly import RebillyMarket
from simulator.world.xandr import XandrMarket
from simulator.world.xurrent import XurrentMarket

PLATFORMS = ("xurrent", "rebilly", "xandr")
_WEIGHTS = {"xurrent": xurrent.WEIGHTS, "rebilly": rebilly.WEIGHTS, "xandr": xandr.WEIGHTS}


class World:
    """Customers, three marketplaces, and the provider's signing policies by app."""

    def __init__(self, settings: Settings, start: datetime) -> None:
        # Chance has to be repeatable, not secret.
        self._rng = random.Random(settings.seed)  # noqa: S311
        self.clock = Clock(start)
        self.keys = KeyMaker(settings.seed)
        self.settings = settings
        self.customers = make_customers(settings.customers, self._rng)
        self.policies = {
            offering.name: _provider_policy(settings, self.keys, index, offering)
            for index, offering in enumerate(of_platform("xurrent"))
        }
        self.xurrent = XurrentMarket(self.clock, self._rng, self.keys, settings.tls_base)
        self.rebilly = RebillyMarket(self.clock, self._rng, self.clock.now)
        self.xandr = XandrMarket(self.clock, self._rng)

    def act(self, platforms: Collection[str] = PLATFORMS) -> Action:
        """Whatever chance brings next, on one of these marketplaces."""
        offering = self._rng.choice([one for one in OFFERINGS if one.platform in platforms])
        customer = self._rng.choice(self.customers)
        names = self._market(offering).possible(offering, customer)
        weights = [_WEIGHTS[offering.platform][name] for name in names]
        return self._do(self._rng.choices(names, weights)[0], offering, customer)

    def perform(self, app: str, account: str, name: str) -> Action:
        """One named action. `account` in the words of the register.

        KeyError for an app or a customer that there is not, ValueError where it cannot happen now.
        """
        offering = next((one for one in OFFERINGS if one.name == app), None)
        if offering is None:
            raise KeyError(app)
        for customer in self.customers:
            if customer.account_on(offering.platform) == account:
                return self._do(name, offering, customer)
        raise KeyError(account)

    def _market(self, offering: Offering) -> XurrentMarket | RebillyMarket | XandrMarket:
        markets: dict[str, XurrentMarket | RebillyMarket | XandrMarket] = {
            "xurrent": self.xurrent,
            "rebilly": self.rebilly,
            "xandr": self.xandr,
        }
        return markets[offering.platform]

    def _do(self, name: str, offering: Offering, customer: Customer) -> Action:
        said: tuple[Message, ...] = self._market(offering).perform(name, offering, customer) or ()
        return Action(
            platform=offering.platform,
            app=offering.name,
            account=customer.account_on(offering.platform),
            name=name,
            messages=said,
        )


def _provider_policy(
    settings: Settings, keys: KeyMaker, index: int, offering: Offering
) -> SigningPolicy:
    """The first app's key is handed out; the second one's is discovered, where there is TLS."""
    issuer = settings.tls_base or f"https://{ACCOUNT}.{DOMAIN}"
    algorithm = settings.algorithms[index]
    discovered = index > 0 and settings.tls_base is not None
    return SigningPolicy(
        id=index + 1,
        name=offering.name,
        algorithm=algorithm,
        key=keys.make(algorithm, f"provider:{offering.name}"),
        issuer=f"{issuer}/webhook_policies/{offering.name}" if discovered else issuer,
        audience=None if index else f"integrations provided by {ACCOUNT}@{DOMAIN}",
        expires_in_seconds=600 if index else None,
        kid=f"00000000-0000-4000-8000-{index + 1:012}" if discovered else None,
    )
