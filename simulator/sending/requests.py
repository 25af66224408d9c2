"""What a hook offers to the sender: whether it wants a message, and the request that tells it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from simulator.world.messages import Message


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A POST as it goes out."""

    url: str
    headers: dict[str, str]
    content: bytes


class Hook(Protocol):
    """A webhook or a subscription, in whose name messages are sent."""

    id: int
    retries: int

    def wants(self, message: Message) -> bool:
        """Whether it is there for such messages."""
        ...

    def is_on(self, message: Message) -> bool:
        """Whether it is switched on, and may send this one."""
        ...

    def request(self, message: Message, delivery: str, origin: str | None) -> Outgoing:
        """The POST of one attempt; made anew for each."""
        ...

    def note(self, error: str | None) -> None:
        """How an attempt ended; None: with a 2xx."""
        ...
