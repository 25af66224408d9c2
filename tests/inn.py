"""An inn for tests: configured apps, deliveries that their marketplaces sign, and a desk.

What is posted goes through the real verification, log, fold and outbox; only HTTP and RQ are left
out.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
import uuid
from typing import Any

from innkeeper.bells import BellName
from innkeeper.config import App, Basic, Config, FollowUp, RebillyApp, XurrentApp
from innkeeper.lifecycle.errors import Rejected
from innkeeper.lifecycle.events import DeliveryId, InstanceKey, SigningPolicy
from innkeeper.operations.desk import Desk
from innkeeper.platforms import inbound_of
from innkeeper.platforms.admission import Request
from innkeeper.store.entry import Captured, NewEntry, new_delivery_id
from innkeeper.store.rejected import Refusal, keep_command
from innkeeper_workers.apply import Applying
from innkeeper_workers.handshake import task_of as handshake_task
from innkeeper_workers.perform import task_of
from innkeeper_workers.performing import Performing
from tests.keys import key_for, policy_for, public_pem
from tests.tokens import sign

PASSWORD = "hunter-of-hooks"
CANARY = "canary-4f1c"
XURRENT = XurrentApp(
    name="notes", reference="notes", account="wdc", domain="xurrent.com", policy=policy_for("RS256")
)
REBILLY = RebillyApp(
    name="tides", reference="app_tides", credential=Basic(username="rebilly", password=PASSWORD)
)
APPS: tuple[App, ...] = (XURRENT, REBILLY)
FOLLOW_UPS = (
    FollowUp(name="provision", on=("enabled",), call="tests.operations.acme:provision"),
    FollowUp(name="fail", on=("suspended",), call="tests.operations.acme:fail"),
)
_audit = itertools.count(100)


def config_of(data: Any, **more: Any) -> Config:
    """The inn's configuration."""
    given: dict[str, Any] = {"apps": APPS, "follow_ups": FOLLOW_UPS, "api_tokens": ("token-1",)}
    return Config(data=data, **(given | more))


def key_of(account: str = "acme", app: str = "notes") -> InstanceKey:
    """An instance of the Xurrent app."""
    return InstanceKey("xurrent", app, account)


class Inn:
    """Posts deliveries to a desk and lets the workers do their part."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def post(self, request: Request) -> DeliveryId:
        """Take a delivery in as the receiver does; its id, or that of the first."""
        inbound = inbound_of(request.platform)
        assert inbound is not None
        app = self.desk.config.app(request.platform, request.app or "")
        opened = inbound.open_request(request, app)
        policies = () if opened.wanted is None else self._policies(app, opened.wanted.account)
        now = time.time()
        admitted = inbound.admit(opened, self.desk.config.apps, policies, now)
        hidden = ("authorization",)
        captured = Captured(
            app=request.app,
            query=request.query,
            headers=tuple(h for h in request.headers if h[0] not in hidden),
            body=request.body,
        )
        return self.desk.log.append(
            NewEntry(
                delivery=new_delivery_id(admitted.instance, now=now),
                instance=admitted.instance,
                at=now,
                event=admitted.event,
                mark=admitted.mark,
                signer=admitted.signer,
                claims=admitted.claims,
                captured=captured,
            )
        ).delivery

    def refuse(self, request: Request) -> Rejected:
        """Have a delivery refused and kept, as the receiver does."""
        try:
            self.post(request)
        except Rejected as error:
            value = request.header("authorization")
            refusal = Refusal(
                at=time.time(),
                reason=error.reason,
                detail=error.detail,
                captured=Captured(app=request.app, query=request.query, body=request.body),
                credential=self.desk.ring.digest("credential", value) if value else None,
            )
            pseudo = InstanceKey.pseudo(request.platform, request.app or "-")
            self.desk.store.command(
                *keep_command(pseudo, refusal, self.desk.ring, max_age_seconds=86400)
            )
            return error
        raise AssertionError("it was not refused")

    def apply(self) -> None:
        """Fold all that lies behind the cursors."""
        applying = Applying(self.desk)
        while applying.look():
            continue

    def perform(self) -> None:
        """Do all work that is due."""
        for bell, prepare in ((BellName.PERFORM, task_of), (BellName.MARKETPLACES, handshake_task)):
            performing = Performing(self.desk, bell, prepare)
            while performing.look():
                continue

    def states(self, account: str = "acme", **more: Any) -> DeliveryId:
        """Post that an instance is there, and apply it."""
        delivery = self.post(states(account, **more))
        self.apply()
        return delivery

    def _policies(self, app: Any, account: str | None) -> tuple[SigningPolicy, ...]:
        if account is None:
            return (app.policy,)
        line = self.desk.register.line(InstanceKey("xurrent", app.name, account))
        assert line is not None
        assert line.instance.policy is not None
        return (line.instance.policy.current.policy,)


def signed(
    data: dict[str, Any],
    *,
    app: str = "notes",
    account: str = "wdc",
    query: str = "",
    owner: str = "provider",
    **claims: Any,
) -> Request:
    """A Xurrent delivery as its sender signs it."""
    now = time.time()
    said = {
        "iss": f"https://{account}.xurrent.com",
        "iat": now,
        "nbf": now,
        "jti": str(uuid.uuid4()),
        "data": {"account_id": account, **data},
    } | claims
    token = sign(said, "RS256", key_for("RS256", owner))
    return Request(
        platform="xurrent",
        app=app,
        query=query,
        headers=(("content-type", "application/json"), ("x-xurrent-delivery", str(uuid.uuid4()))),
        body=json.dumps({"jwt": token}).encode(),
    )


def states(
    account: str = "acme",
    *,
    event: str = "app_instance.update",
    audit: int | None = None,
    reference: str = "notes",
    **flags: Any,
) -> Request:
    """An instance is there; flags as the payload says them."""
    payload = {
        "audit_line_id": next(_audit) if audit is None else audit,
        "app_offering": {"reference": reference},
        "customer_account_id": account,
        "disabled": False,
        "suspended": False,
        "enabled_by_customer": True,
    } | flags
    return signed({"event": event, "object_id": "7", "payload": payload})


def brings_secrets(
    account: str = "acme", owner: str | None = None, *, secret: str = CANARY
) -> Request:
    """A secrets-update; with a signing policy of `owner`'s key."""
    payload: dict[str, Any] = {
        "audit_line_id": next(_audit),
        "app_offering": {"reference": "notes"},
        "customer_account_id": account,
        "application": {"client_id": "id-1", "client_secret": secret},
    }
    if owner is not None:
        pem = public_pem(key_for("RS256", owner))
        payload["policy"] = {"algorithm": "rs256", "public_key": pem}
    return signed({"event": "app_instance.secrets-update", "object_id": "7", "payload": payload})


def app_event(account: str = "acme", owner: str = "acme") -> Request:
    """A customer's own webhook."""
    data = {"event": "automation_rule", "object_id": "9", "payload": {"note": "high tide"}}
    return signed(data, account=account, owner=owner, query=f"account={account}")


def handshake() -> Request:
    """The provider asks whether we listen."""
    payload = {"callback": "https://wdc.xurrent.com/callbacks/9?code=secret-code&expires_at=1"}
    return signed({"event": "webhook.verify", "payload": payload})


def rebilly(event: str = "enabled", *, password: str = PASSWORD, updated: str = "T10") -> Request:
    """A Rebilly delivery about the organization `org-1`."""
    body: dict[str, Any] = {
        "organizationId": "org-1",
        "applicationId": "app_tides",
        "eventType": f"application-instance-{event}",
        "_embedded": {},
    }
    if event == "enabled":
        found = {"updatedTime": f"2026-01-01{updated}:00:00Z", "token": CANARY, "settings": {}}
        body["_embedded"] = {"applicationInstance": found}
    encoded = base64.b64encode(f"rebilly:{password}".encode()).decode()
    return Request(
        platform="rebilly",
        app="tides",
        headers=(("authorization", f"Basic {encoded}"), ("content-type", "application/json")),
        body=json.dumps(body).encode(),
    )
