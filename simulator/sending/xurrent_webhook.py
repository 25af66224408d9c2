"""A webhook on Xurrent: verified by a callback, signed by its policy, switched off after failures.

Called by the sender and by the REST API. Sends nothing itself.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.sending.requests import Outgoing
from simulator.settings import DOMAIN
from simulator.signing import SigningPolicy, sign
from simulator.world.clock import node_id
from simulator.world.messages import Message

HANDSHAKE = "webhook.verify"
_VALID_SECONDS = 24 * 3600


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One webhook of one account. `app`: tells only of this one; None: of all the account's."""

    id: int
    account: str
    event: str
    uri: str
    name: str
    policy: SigningPolicy | None
    created_at: datetime
    updated_at: datetime
    app: str | None = None
    old: bool = False
    disabled: bool = False
    verified: bool = True
    verified_at: float | None = None
    code: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    code_until: int = 0
    failures: int = 0
    switch_off_after: int = 20
    retries: int = 10
    last_error: str | None = None

    def wants(self, message: Message) -> bool:
        """Whether it is there for such messages."""
        if message.webhook is not None:
            return message.webhook == self.id
        mine = message.sender == self.account and self.app in (None, message.app)
        return mine and message.event == self.event

    def is_on(self, message: Message) -> bool:
        """Before it is verified it sends only the handshake."""
        return not self.disabled and (self.verified or message.event == HANDSHAKE)

    def note(self, error: str | None) -> None:
        """Count consecutive failures; the 20th switches it off."""
        self.failures = 0 if error is None else self.failures + 1
        if error is not None:
            self.last_error = error
            self.disabled = self.disabled or self.failures >= self.switch_off_after

    def switch_on(self) -> None:
        """As an administrator does."""
        self.disabled, self.failures, self.last_error = False, 0, None

    def verify(self, code: str, now: float) -> bool:
        """Take a callback's code; whether it is the right one, and in time."""
        if code != self.code or now > self.code_until:
            return False
        self.verified, self.verified_at = True, now
        return True

    def request(self, message: Message, delivery: str, origin: str | None) -> Outgoing:
        """The POST of one attempt, signed anew."""
        data = self._data(message)
        body: dict[str, Any] = data
        if self.policy is not None:
            body = {"jwt": sign(self.policy, data, self.id, time.time())}
        return Outgoing(
            url=self.uri,
            headers=self._headers(message, data, delivery, origin),
            content=json.dumps(body, separators=(",", ":")).encode(),
        )

    def _data(self, message: Message) -> dict[str, Any]:
        handshake = message.event == HANDSHAKE
        kind = "Webhook" if handshake else message.object_type
        number = self.id if handshake else message.object_id
        event = message.event
        if message.old:
            event = event.replace("app_instance.", "integration_instance.", 1)
            kind = kind.replace("AppInstance", "IntegrationInstance")
        return {
            "webhook_id": self.id,
            "webhook_nodeID": node_id(DOMAIN, "Webhook", self.id),
            "account_id": self.account,
            "account": f"https://{self.account}.{DOMAIN}",
            "name": self.name,
            "event": event,
            "object_id": number,
            "object_nodeID": node_id(DOMAIN, kind, number or 0),
            "person_id": 6,
            "person_nodeID": node_id(DOMAIN, "Person", 6),
            "person_name": "Howard Tanner",
            "payload": self._callback() if handshake else message.payload,
        }

    def _callback(self) -> dict[str, Any]:
        if not self.code_until:
            self.code_until = int(time.time()) + _VALID_SECONDS
        issuer = self.policy.issuer if self.policy else f"https://{self.account}.{DOMAIN}"
        base = issuer.partition("/webhook_policies/")[0]
        query = f"code={self.code}&expires_at={self.code_until}"
        return {"callback": f"{base}/webhooks/{self.id}/verify?{query}"}

    def _headers(
        self, message: Message, data: dict[str, Any], delivery: str, origin: str | None
    ) -> dict[str, str]:
        old = self.old or message.old
        prefix = "X-4me-Delivery" if old else "X-Xurrent-Delivery"
        product = "4me" if old else "xurrent"
        kind = "webhooks" if message.event == HANDSHAKE else "app_instances"
        path = f"{kind}/{data['object_id']}"
        canonical = f'<https://{self.account}.{DOMAIN}/{path}>; rel="canonical"'
        resource = f'<https://api.{DOMAIN}/v1/{path}>; rel="resource"'
        headers = {
            "Accept": "*/*",
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"{product}/1.0 (https://developer.{product}.com/v1/webhooks)",
            "Link": f"{canonical}, {resource}",
            prefix: delivery,
        }
        return headers | ({f"{prefix}-Origin": origin} if origin else {})
