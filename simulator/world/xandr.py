"""Xandr's side of the world: app installations. Nobody is told of anything.

Pure but for its own state. Called by the world's actions and by the REST API.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.world.clock import Clock, xandr_time
from simulator.world.customers import Customer
from simulator.world.offerings import Offering

WEIGHTS = {
    "install": 6,
    "reinstall": 3,
    "accept": 6,
    "withdraw": 1,
    "update": 2,
    "remove": 1,
}
_PERMISSIONS = [{"service": "member", "privileges": [{"method": "get", "fields": None}]}]


@dataclass(slots=True, kw_only=True)
class Installation:
    """An installation. `agreed`: permissions were accepted at some time in this one."""

    id: int
    plugin_id: int
    entity_type: str
    entity_id: int
    installed_on: datetime
    accepted: bool = False
    agreed: bool = False
    addendum: str | None = None
    permissions: list[dict[str, Any]] | None = None
    fee: int | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    present: bool = True

    @property
    def account(self) -> str:
        """In the words of Innkeeper's register."""
        return f"{self.entity_type}:{self.entity_id}"

    @property
    def status(self) -> str:
        """In the words of Innkeeper's register."""
        if not self.present:
            return "removed"
        if self.accepted:
            return "enabled"
        return "disabled" if self.agreed else "pending"


class XandrMarket:
    """All installations, by plugin and account; and in the order of their ids."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.installations: dict[tuple[str, str], Installation] = {}
        self._clock, self._rng = clock, rng
        self._last_id = 18_000

    def present(self) -> list[Installation]:
        """Those that the list shows, by id."""
        alive = (found for found in self.installations.values() if found.present)
        return sorted(alive, key=lambda found: found.id)

    def possible(self, offering: Offering, customer: Customer) -> list[str]:
        """What may happen next to a customer's installation."""
        found = self.installations.get((offering.reference, customer.account_on("xandr")))
        if found is None:
            return ["install"]
        if not found.present:
            return ["reinstall"]
        return ["withdraw" if found.accepted else "accept", "update", "remove"]

    def perform(self, name: str, offering: Offering, customer: Customer) -> None:
        """Do it. ValueError where it cannot happen now."""
        account = customer.account_on("xandr")
        if name not in self.possible(offering, customer):
            raise ValueError(f"{name} cannot happen to {offering.name} of {account} now")
        if name in ("install", "reinstall"):
            found = self.install(offering.id, *customer.entity)
            found.name = customer.name
            self.accept(found, accepted=self._rng.random() < 0.4)
            return
        found = self.installations[offering.reference, account]
        self._clock.tick()
        if name == "remove":
            found.present = False
        elif name == "update":
            self._update(found)
        else:
            self.accept(found, accepted=name == "accept")

    def install(self, plugin_id: int, entity_type: str, entity_id: int) -> Installation:
        """A new installation, under a new id. ValueError where there is one."""
        key = (str(plugin_id), f"{entity_type}:{entity_id}")
        if (known := self.installations.get(key)) is not None and known.present:
            raise ValueError("it is installed already")
        self._last_id += self._rng.randint(1, 9)
        found = Installation(
            id=self._last_id,
            plugin_id=plugin_id,
            entity_type=entity_type,
            entity_id=entity_id,
            installed_on=self._clock.tick(),
        )
        self.installations[key] = found
        return found

    def accept(self, installation: Installation, *, accepted: bool) -> None:
        """Set whether the permissions are accepted."""
        installation.accepted = accepted
        installation.agreed = installation.agreed or accepted

    def _update(self, installation: Installation) -> None:
        what = self._rng.choice(["addendum", "fee", "permissions"])
        if what == "addendum":
            installation.addendum = f"Terms, version {self._rng.randint(2, 10_000)}"
        elif what == "fee":
            installation.fee = 100 * self._rng.randint(1, 10_000)
        else:
            installation.permissions = None if installation.permissions else _PERMISSIONS


def document(installation: Installation, *, legacy: bool = False) -> dict[str, Any]:
    """The installation as the API shows it: one of two spellings, or the legacy shape."""
    if legacy:
        return {
            "id": installation.id,
            "plugin_id": installation.plugin_id,
            "entity_type": installation.entity_type,
            "entity_id": installation.entity_id,
            "status": "installed",
        }
    accepted = "accepted_permissions" if installation.id % 2 else "accepted_permission"
    as_text = installation.id % 3 == 0  # ids come as integers, and at times as texts
    entity: int | str = str(installation.entity_id) if as_text else installation.entity_id
    return {
        "id": installation.id,
        "plugin_id": str(installation.plugin_id) if as_text else installation.plugin_id,
        "addendum": installation.addendum,
        "subscriber_entity_type": installation.entity_type,
        "subscriber_entity_id": entity,
        accepted: installation.accepted,
        "installed_on": xandr_time(installation.installed_on),
        "installer_user_id": 3000 + installation.entity_id,
        "permissions": installation.permissions,
        "has_payment_access": False,
        "log_level_data_fee": installation.fee,
        "subscriber_phone": installation.phone,
        "subscriber_email": installation.email,
        "subscriber_name": installation.name,
    }
