"""Deliveries as the marketplaces send them, with keys and words of our own, signed for real.

The provider `harbour` offers the app `tides`; its customers are accounts such as `lighthouse`.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from innkeeper.config import Basic, RebillyApp, XurrentApp
from innkeeper.lifecycle.events import InstanceKey
from tests.keys import key_for, policy_for, public_pem
from tests.tokens import sign

PROVIDER, DOMAIN, APP, OFFERING = "harbour", "xurrent.com", "tides", "tide-tables"
CUSTOMER = "lighthouse"
PATH = f"/hooks/xurrent/{APP}"
REBILLY_PATH = "/hooks/rebilly/desk"
BASIC = {"authorization": "Basic cmViaWxseTp0aWRld2F0ZXI="}
"""rebilly, tidewater"""


def xurrent_app(**more: Any) -> XurrentApp:
    """The app, with the provider's policy configured."""
    given: dict[str, Any] = {
        "name": APP,
        "reference": OFFERING,
        "account": PROVIDER,
        "domain": DOMAIN,
        "policy": policy_for("RS256"),
    }
    return XurrentApp(**(given | more))


def rebilly_app(**more: Any) -> RebillyApp:
    """An application whose deliveries carry `BASIC`."""
    credential = Basic(username="rebilly", password="tidewater")
    given: dict[str, Any] = {"name": "desk", "reference": "app_desk", "credential": credential}
    return RebillyApp(**(given | more))


def instance(customer: str = CUSTOMER) -> InstanceKey:
    """A customer's copy of the app."""
    return InstanceKey("xurrent", APP, customer)


def told(event: str, payload: Any, *, account: str = PROVIDER, **more: Any) -> dict[str, Any]:
    """The `data` of a webhook."""
    said = {"webhook_id": 7, "account_id": account, "event": event, "object_id": 31}
    return said | {"payload": payload} | more


def lifecycle(
    event: str = "app_instance.update", customer: str = CUSTOMER, audit: int = 1, **payload: Any
) -> dict[str, Any]:
    """The `data` of an event of an instance's life; operating, unless the payload says otherwise.

    A payload's entry of None is left out.
    """
    said: dict[str, Any] = {
        "audit_line_id": audit,
        "app_offering": {"reference": OFFERING, "id": 3},
        "customer_account_id": customer,
        "disabled": False,
        "suspended": False,
        "enabled_by_customer": True,
    } | payload
    return told(event, {name: value for name, value in said.items() if value is not None})


def secrets_update(customer: str = CUSTOMER, audit: int = 1, **blocks: Any) -> dict[str, Any]:
    """The `data` that brings secrets, a signing policy or both."""
    flags = dict.fromkeys(("disabled", "suspended", "enabled_by_customer"))
    return lifecycle("app_instance.secrets-update", customer, audit, **(flags | blocks))


def policy_block(owner: str, algorithm: str = "RS256") -> dict[str, Any]:
    """What a secrets-update says of the key with which `owner` signs."""
    return {"algorithm": algorithm, "public_key": public_pem(key_for(algorithm, owner))}


def token(
    data: Any, *, account: str = PROVIDER, owner: str = "provider", algorithm: str = "RS256",
    header: dict[str, Any] | None = None, **claims: Any,
) -> str:  # fmt: skip
    """Signed by `owner` as the webhook policy of `account`."""
    now = int(time.time())
    said = {
        "data": data,
        "jti": uuid.uuid4().hex,
        "sub": "7",
        "iss": f"https://{account}.{DOMAIN}",
        "iat": now,
        "nbf": now,
    }
    return sign(said | claims, algorithm, key_for(algorithm, owner), header)


def delivery(data: Any, **more: Any) -> bytes:
    """The body of a Xurrent delivery; see `token`."""
    return json.dumps({"jwt": token(data, **more)}).encode()


def app_event(customer: str = CUSTOMER, *, owner: str | None = None, **more: Any) -> bytes:
    """What the customer's own webhook posts, signed with the customer's key."""
    data = told("automation_rule", {"tide": "high"}, account=customer)
    return delivery(data, account=customer, owner=owner or customer, **more)


def rebilly(event: str = "enabled", organization: str = "org_7", at: str = "") -> bytes:
    """The body of a Rebilly delivery; `at`: the instance's updatedTime."""
    stated = {"organizationId": organization, "status": event}
    if at:
        stated["updatedTime"] = at
    return json.dumps(
        {
            "eventType": f"application-instance-{event}",
            "applicationId": "app_desk",
            "organizationId": organization,
            "_embedded": {"applicationInstance": stated},
        }
    ).encode()
