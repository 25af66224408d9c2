"""What a marketplace has to tell a webhook: made by the world, sent by the sender."""

from __future__ import annotations

from typing import Any

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event, before it is put into a webhook's body.

    `app`: our name for the offering. `sender`: the account in which the webhook lies. `webhook`:
    the only one that gets it (handshakes and tests); None: whichever wants it.
    """

    platform: str
    app: str
    account: str
    event: str
    sender: str
    object_id: int | None = None
    object_type: str = "AppInstance"
    payload: dict[str, Any]
    old: bool = False
    webhook: int | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a customer, or the vendor, did; and what the marketplace says of it."""

    platform: str
    app: str
    account: str
    name: str
    messages: tuple[Message, ...] = ()
