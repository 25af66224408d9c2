"""The history of one customer on Xurrent, told step by step: each a delivery, in its true order.

Whoever tests sends them in whatever order, and asks the reference model how it has to end.
"""

from __future__ import annotations

from typing import Any

from innkeeper.lifecycle.events import Event, Flags
from innkeeper.platforms.jws import signing_policy
from tests.faults.customers import DOMAIN, Message, message_of
from tests.lifecycle.telling import brings, removes, states
from tests.system.marketplaces import Account, Offering, curve_key, public_pem

OPERATES = {"disabled": False, "suspended": False, "enabled_by_customer": True}


class History:
    """What is said of one customer, under growing audit lines; `number`: of its installation."""

    def __init__(self, offering: Offering, customer: str, number: int) -> None:
        self.offering, self.customer, self.number = offering, customer, number
        self._audit = 0

    def says(self, what: str = "update", **flags: bool) -> Message:
        """The instance is there."""
        said = OPERATES | flags
        audit = self._next()
        event = states(audit, Flags(phase=None, **said), str(self.number))
        return self._message(what, audit, said, event)

    def installs(self, **flags: bool) -> Message:
        """The customer has installed it, as yet another object."""
        self.number += 1
        return self.says("create", **flags)

    def removes(self) -> Message:
        """It is gone."""
        audit = self._next()
        return self._message("delete", audit, {}, removes(audit, str(self.number)))

    def brings(self, value: str = "", *, key: str = "", **more: str) -> Message:
        """The `client_secret` and `more`, and the key with which the customer signs from now on."""
        audit, given = self._next(), ({"client_secret": value} if value else {}) | more
        blocks: dict[str, Any] = {"application": given}
        policy = None
        if key:
            own = Account(name=self.customer, domain=DOMAIN, algorithm="ES256", key=curve_key(key))
            blocks["policy"] = own.policy
            policy = signing_policy(own.algorithm, public_pem(own.key))
        secrets = {f"application.{name}": one for name, one in given.items()}
        event = brings(audit, secrets, policy, str(self.number))
        return self._message("secrets-update", audit, blocks, event)

    def _next(self) -> int:
        self._audit += 2
        return self._audit

    def _message(self, what: str, audit: int, said: dict[str, Any], event: Event) -> Message:
        return message_of(self.offering, self.customer, what, audit, self.number, said, event)
