"""Two providers on Xurrent and their customers, as configured, and deliveries from any of them."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from innkeeper.config import App, XurrentApp
from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms.admission import Admitted, Request
from innkeeper.platforms.xurrent import inbound
from tests.keys import PrivateKey, key_for, policy_for
from tests.tokens import sign

NOW = 1767225600.0
ISSUER = "https://harbour.xurrent.com"
TIDES = XurrentApp(
    name="tide-tables",
    reference="tide-tables",
    account="harbour",
    domain="xurrent.com",
    policy=policy_for("ES256"),
)
MOONS = replace(TIDES, name="moon-phases", reference="moon-phases")
STARS = replace(
    TIDES,
    name="star-maps",
    reference="star-maps",
    account="observatory",
    policy=policy_for("ES256", "observatory"),
)
APPS: tuple[App, ...] = (TIDES, MOONS, STARS)


def data(event: str = "app_instance.update", **payload: Any) -> dict[str, Any]:
    """The signed content of a delivery of the provider about a customer's instance."""
    stated = {
        "app_offering": {"reference": "tide-tables"},
        "customer_account_id": "lighthouse",
        "disabled": False,
        "enabled_by_customer": True,
        "suspended": False,
    }
    return {"account_id": "harbour", "event": event, "object_id": 7, "payload": stated | payload}


def claims(content: Any = None, **more: Any) -> dict[str, Any]:
    """Claims that hold, with `more` in place of some; None leaves a claim out."""
    stated = {"data": content or data(), "iss": ISSUER, "iat": int(NOW), "nbf": int(NOW)} | more
    return {name: value for name, value in stated.items() if value is not None}


def request(
    token: str, query: str = "", app: XurrentApp = TIDES, headers: dict[str, str] | None = None
) -> Request:
    """A token as it is posted."""
    return Request(
        platform="xurrent",
        app=app.name,
        query=query,
        headers=tuple((headers or {}).items()),
        body=json.dumps({"jwt": token}).encode(),
    )


def admit_token(
    token: str,
    query: str = "",
    *,
    app: XurrentApp = TIDES,
    policies: list[SigningPolicy] | None = None,
    headers: dict[str, str] | None = None,
) -> Admitted:
    """Admit it; `policies`: those of the app's provider, where none are given."""
    if policies is None:
        assert isinstance(app.policy, SigningPolicy)
        policies = [app.policy]
    opened = inbound.open_request(request(token, query, app, headers), app)
    return inbound.admit(opened, APPS, policies, NOW)


def admit(
    stated: dict[str, Any] | bytes,
    query: str = "",
    *,
    key: PrivateKey | None = None,
    algorithm: str = "ES256",
    header: dict[str, Any] | bytes | None = None,
    **more: Any,
) -> Admitted:
    """Sign claims, with the provider's key if no other, and admit them."""
    token = sign(stated, algorithm, key or key_for(algorithm), header)
    return admit_token(token, query, **more)
