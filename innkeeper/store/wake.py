"""Wake-up flags on the queue server: whether a bell rang, and whether somebody listens anyway.

Used by `innkeeper.bells` alone. All of it may be lost or doubled: what is due stands in the store.

A ringer sets the flag, then looks for a listener; a listener that leaves withdraws, then looks for
the flag. Whoever comes second sees the other, so no ring is lost between them.
"""

from __future__ import annotations

from innkeeper.store.connection import Store

_FLAG_SECONDS = 2
"""A flag whose job was lost stands in nobody's way for longer than this."""
_LISTENING_MILLISECONDS = 1500


class Wake:
    """The flags of one bell."""

    def __init__(self, queue: Store, bell: str) -> None:
        """Use the queue server."""
        self._queue = queue
        self._flag = f"ik:bell:{bell}"
        self._listening = f"ik:bell:{bell}:listening"

    def raise_flag(self) -> bool:
        """Set the flag; True if a job has to be sent, for it was down and nobody listens."""
        fresh, listening = self._queue.batch(
            [("SET", self._flag, 1, "NX", "EX", _FLAG_SECONDS), ("EXISTS", self._listening)]
        )
        return bool(fresh) and not listening

    def lower_flag(self) -> bool:
        """Take the flag down, before looking for work; whether it was up."""
        return bool(self._queue.command("DEL", self._flag))

    def listen(self) -> bool:
        """Say that somebody listens for a while longer; whether the flag is up."""
        _, up = self._queue.batch(
            [
                ("SET", self._listening, 1, "PX", _LISTENING_MILLISECONDS),
                ("EXISTS", self._flag),
            ]
        )
        return bool(up)

    def leave(self) -> bool:
        """Say that nobody listens any more; whether the flag is up, and so work may be left."""
        _, up = self._queue.batch([("DEL", self._listening), ("EXISTS", self._flag)])
        return bool(up)
