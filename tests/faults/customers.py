"""What customers do on the marketplaces, by chance under a seed, and what is posted about it.

Each delivery comes with what it says for the reference model. The keys are made for this run.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from innkeeper.lifecycle.events import Event, Flags
from innkeeper.platforms.jws import signing_policy
from tests.lifecycle.telling import brings, removes, states
from tests.system.marketplaces import (
    BASIC,
    REBILLY_PASSWORD,
    Account,
    Offering,
    app_event,
    curve_key,
    public_pem,
    rebilly,
    rebilly_app,
    rsa_key,
    xurrent_app,
)

NAMES = (
    "installed", "enabled", "resumed", "suspended", "disabled", "removed", "updated", "adopted",
    "secrets_updated", "app_event",
)  # fmt: skip
DOMAIN = "xurrent.invalid"
NOTES = Offering(
    provider=Account(name="quay", domain=DOMAIN, key=rsa_key("quay")), reference="notes"
)
POSTS = Offering(
    provider=Account(name="pier", domain=DOMAIN, algorithm="ES256", key=curve_key("pier")),
    reference="posts",
)
CONFIGURATION = "".join(
    (
        *(xurrent_app(offering.provider, offering.reference) for offering in (NOTES, POSTS)),
        rebilly_app("ledger", "app_1"),
        f'[[follow_ups]]\nname = "note"\non = {list(NAMES)}\ncall = "acme_hooks:note"\n',
    )
)
ENVIRONMENT = {"HOOK_PASSWORD": REBILLY_PASSWORD}
_OPERATES = {"disabled": False, "suspended": False, "enabled_by_customer": True}
_MOVES = ("suspend", "suspend", "resume", "resume", "secrets", "disable", "share", "remove")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One delivery. `body`: signed anew each time. `event`: what it says of the instance's state.

    `origin`: the delivery's id at the marketplace; None where it has none. `switches`: Rebilly's
    on or off.
    """

    instance: str
    kind: str
    path: str
    body: Callable[[], bytes]
    event: Event | None = None
    origin: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    switches: bool | None = None


def stories(rng: random.Random, customers: int, steps: int) -> list[list[Message]]:
    """What is said of each customer, in the order of sending: of a tenth on Rebilly.

    A third of those on Xurrent come out of order.
    """
    told = []
    for number in range(customers):
        name = f"c{number:04}-{rng.randrange(1 << 24):06x}"
        if number % 10 == 9:
            told.append(list(_on_rebilly(name, steps)))
            continue
        disorderly = number % 3 == 2
        story = list(_on_xurrent(rng, name, rng.choice((NOTES, POSTS)), steps, calm=disorderly))
        told.append(_shaken(rng, story) if disorderly else story)
    return told


def _on_xurrent(
    rng: random.Random, customer: str, offering: Offering, steps: int, *, calm: bool
) -> Iterator[Message]:
    """Installs, brings secrets and a key, then whatever comes. `calm`: no app events."""
    own = Account(name=customer, domain=DOMAIN, algorithm="ES256", key=curve_key(customer))
    audit, number, flags, removed = 1, 1, dict(_OPERATES), calm
    yield _states(offering, customer, "create", audit, number, flags)
    audit += rng.randint(1, 3)
    yield _brings(rng, offering, customer, audit, number, own)
    for _ in range(steps - 2):
        move = rng.choice(_MOVES)
        audit += rng.randint(1, 3)
        if move == "remove":
            yield _removes(offering, customer, audit, number)
            audit, number, flags, removed = audit + 1, number + 1, dict(_OPERATES), True
            yield _states(offering, customer, "create", audit, number, flags)
        elif move == "secrets":
            yield _brings(
                rng, offering, customer, audit, number, own if rng.random() < 0.3 else None
            )
        elif move == "share" and not removed:
            yield shares(offering, own)
        else:
            flags["suspended"] = move == "suspend"
            flags["disabled"] = move == "disable"
            yield _states(offering, customer, "update", audit, number, flags)


def _states(
    offering: Offering, customer: str, what: str, audit: int, number: int, flags: dict[str, bool]
) -> Message:
    said = Flags(phase=None, **flags)
    event = states(audit, said, str(number))
    return message_of(offering, customer, what, audit, number, dict(flags), event)


def _removes(offering: Offering, customer: str, audit: int, number: int) -> Message:
    return message_of(offering, customer, "delete", audit, number, {}, removes(audit, str(number)))


def _brings(
    rng: random.Random, offering: Offering, customer: str, audit: int, number: int,
    own: Account | None,
) -> Message:  # fmt: skip
    secret = f"{rng.randrange(1 << 64):016x}"
    blocks: dict[str, Any] = {"application": {"client_id": customer, "client_secret": secret}}
    policy = None
    if own is not None:
        blocks["policy"] = own.policy
        policy = signing_policy(own.algorithm, public_pem(own.key))
    secrets = {f"application.{name}": value for name, value in blocks["application"].items()}
    event = brings(audit, secrets, policy, str(number))
    return message_of(offering, customer, "secrets-update", audit, number, blocks, event)


def message_of(
    offering: Offering, customer: str, what: str, audit: int, number: int,
    said: dict[str, Any], event: Event,
) -> Message:  # fmt: skip
    """What the provider's webhook says, under an audit line, of the installation of that number."""
    payload = offering.payload(customer, audit, said)
    return Message(
        instance=f"xurrent/{offering.reference}/{customer}",
        kind="lifecycle",
        path=f"/hooks/xurrent/{offering.reference}",
        body=lambda: offering.provider.signed(offering.event(what), payload, object_id=number),
        event=event,
        origin=str(uuid.uuid4()),
    )


def shares(offering: Offering, own: Account) -> Message:
    """An app event, signed with the customer's own key."""
    return Message(
        instance=f"xurrent/{offering.reference}/{own.name}",
        kind="app_event",
        path=f"/hooks/xurrent/{offering.reference}?account={own.name}",
        body=lambda: app_event(own),
        origin=str(uuid.uuid4()),
    )


def _on_rebilly(organization: str, steps: int) -> Iterator[Message]:
    """Switched on and off in turn."""
    for step in range(steps):
        on = step % 2 == 0
        body = rebilly(
            "app_1",
            organization,
            "enabled" if on else "disabled",
            f"2026-02-01T00:{step // 60:02}:{step % 60:02}Z" if on else None,
        )
        yield Message(
            instance=f"rebilly/ledger/{organization}",
            kind="rebilly",
            path="/hooks/rebilly/ledger",
            body=lambda body=body: body,  # type: ignore[misc]
            headers=dict(BASIC),
            switches=on,
        )


def _shaken(rng: random.Random, story: list[Message]) -> list[Message]:
    """Out of order, none by more than a few places."""
    places = {id(one): place + rng.random() * 5 for place, one in enumerate(story)}
    return sorted(story, key=lambda one: places[id(one)])
