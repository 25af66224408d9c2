"""Rebilly's subscription: one for all of the owner's applications, with a basic credential.

Called by the sender. No body bears a signature, an id or the number of the attempt.
"""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from simulator.sending.requests import Outgoing
from simulator.settings import HOOK_PASSWORD, HOOK_USER
from simulator.world.messages import Message
from simulator.world.rebilly import ENABLED
from simulator.world.tokens import Tokens

EVENTS = ("application-instance-enabled", "application-instance-disabled")


class Subscription:
    """Sends to one URL. `by_name`: the app's name is put behind it.

    `small`: the share of bodies that an owner's own template makes, which hold only the merchant.
    """

    def __init__(
        self,
        number: int,
        url: str,
        tokens: Tokens,
        rng: random.Random,
        *,
        by_name: bool = False,
        small: float = 0.0,
        credential: tuple[str, str] = (HOOK_USER, HOOK_PASSWORD),
        events: tuple[str, ...] = EVENTS,
    ) -> None:
        self.id, self.url, self.active, self.small = number, url, True, small
        self.retries = 5
        self.events = events
        self._by_name, self._tokens, self._rng = by_name, tokens, rng
        pair = ":".join(credential).encode()
        self._authorization = f"Basic {base64.b64encode(pair).decode()}"

    def wants(self, message: Message) -> bool:
        """Whether it is there for such messages: without a filter, for all."""
        known = not self.events or message.event in self.events
        return message.platform == "rebilly" and known

    def is_on(self, message: Message) -> bool:
        """Whether it is switched on."""
        return self.active

    def note(self, error: str | None) -> None:
        """Nothing says that Rebilly switches anything off."""

    def request(self, message: Message, delivery: str, origin: str | None) -> Outgoing:
        """The POST of one attempt; nothing in it tells a retry from the first."""
        url = f"{self.url}/{message.app}" if self._by_name else self.url
        body = self._body(message)
        if self._by_name and self._rng.random() < self.small:
            url += "?event=" + ("enabled" if message.event == ENABLED else "disabled")
            body = {"organizationId": message.account}
        headers = {
            "User-Agent": "Rebilly/5f0c2a9d41be7a63c1e88f0b1d2a3c4e5f607182",
            "Content-Type": "application/json; charset=utf-8",
            "Authorization": self._authorization,
        }
        return Outgoing(url=url, headers=headers, content=json.dumps(body).encode())

    def _body(self, message: Message) -> dict[str, Any]:
        embedded = dict(message.payload.get("_embedded", {}))
        if "applicationInstance" in embedded:
            token = self._tokens.issue("rebilly", message.account)
            embedded["applicationInstance"] = embedded["applicationInstance"] | {"token": token}
        return message.payload | {"_embedded": embedded}
