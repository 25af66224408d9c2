"""Rebilly's side of the world: application instances, enabled and disabled.

Pure but for its own state. Called by the world's actions and by the merchants' REST calls.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.settings import OWNER
from simulator.world.clock import Clock, rebilly_time
from simulator.world.customers import Customer
from simulator.world.messages import Message
from simulator.world.offerings import Offering

WEIGHTS = {"install": 6, "enable": 5, "disable": 2, "configure": 2}
ENABLED, DISABLED = "application-instance-enabled", "application-instance-disabled"


@dataclass(slots=True, kw_only=True)
class Instance:
    """A merchant's instance; it stays when it is disabled."""

    offering: Offering
    account: str
    created_at: datetime
    updated_at: datetime
    status: str = "enabled"
    settings: dict[str, Any] = field(default_factory=dict)


class RebillyMarket:
    """All instances of the owner's applications."""

    def __init__(self, clock: Clock, rng: random.Random, started: datetime) -> None:
        self.instances: dict[tuple[str, str], Instance] = {}
        self._clock, self._rng, self._started = clock, rng, started

    def possible(self, offering: Offering, customer: Customer) -> list[str]:
        """What may happen next to a merchant's instance."""
        found = self.instances.get((offering.name, customer.account_on("rebilly")))
        if found is None:
            return ["install"]
        return ["disable", "configure"] if found.status == "enabled" else ["enable"]

    def perform(self, name: str, offering: Offering, customer: Customer) -> tuple[Message, ...]:
        """Do it. ValueError where it cannot happen now."""
        account = customer.account_on("rebilly")
        if name not in self.possible(offering, customer):
            raise ValueError(f"{name} cannot happen to {offering.name} of {account} now")
        if name == "configure":
            # Tells nobody: there is no event for it.
            found = self.instances[offering.name, account]
            found.settings = self._settings()
            found.updated_at = self._clock.tick()
            return ()
        return (self.switch(offering, account, enabled=name != "disable"),)

    def switch(self, offering: Offering, account: str, *, enabled: bool) -> Message:
        """Enable (install) or disable an instance."""
        now = self._clock.tick()
        found = self.instances.get((offering.name, account))
        if found is None:
            found = Instance(
                offering=offering,
                account=account,
                created_at=now,
                updated_at=now,
                settings=self._settings(),
            )
            self.instances[offering.name, account] = found
        found.status = "enabled" if enabled else "disabled"
        found.updated_at = now
        embedded = {"application": self.application(offering)}
        if enabled:
            # No source settles which status this delivery carries.
            status = self._rng.choice(["enabling", "enabled"])
            embedded["applicationInstance"] = self.document(found) | {"status": status}
        return Message(
            platform="rebilly",
            app=offering.name,
            account=account,
            event=ENABLED if enabled else DISABLED,
            sender=OWNER,
            payload={
                "organizationId": account,
                "applicationId": offering.reference,
                "eventType": ENABLED if enabled else DISABLED,
                "_embedded": embedded,
                "_links": [{"href": f"/applications/{offering.reference}", "rel": "application"}],
            },
        )

    def document(self, instance: Instance) -> dict[str, Any]:
        """The instance as the API shows it, less its token."""
        path = f"/applications/{instance.offering.reference}/instances/{instance.account}"
        return {
            "status": instance.status,
            "isConfigured": True,
            "settings": dict(instance.settings),
            "createdTime": rebilly_time(instance.created_at),
            "updatedTime": rebilly_time(instance.updated_at),
            "_links": [{"href": path, "rel": "self"}],
            "organizationId": instance.account,
        }

    def application(self, offering: Offering) -> dict[str, Any]:
        """The application as the API shows it."""
        return {
            "id": offering.reference,
            "name": offering.title,
            "logoId": "file_01LOGO",
            "authorName": "The Vendor",
            "authorLogoId": "file_01AUTHOR",
            "tagline": "Points for every purchase",
            "description": "A *stand-in* for an application.",
            "status": "available",
            "permissions": ["GetCustomer", "GetInvoice"],
            "properties": {"type": "object", "properties": {"limit": {"type": "integer"}}},
            "createdTime": rebilly_time(self._started),
            "updatedTime": rebilly_time(self._started),
            "_links": [{"href": f"/applications/{offering.reference}", "rel": "self"}],
        }

    def _settings(self) -> dict[str, Any]:
        # The values are not always texts.
        colour = self._rng.choice(["red", "green", "blue"])
        return {"colour": colour, "limit": self._rng.randint(1, 100), "strict": True}
