"""Access tokens that the marketplaces have handed out, and how long they live."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

HOUR = 3600.0


class Tokens:
    """In memory. A token is good for one marketplace and one account there."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[str, float]] = {}

    def issue(self, platform: str, account: str, *, lives_seconds: float = HOUR) -> str:
        """A new token, every time."""
        token = secrets.token_urlsafe(32)
        self._known[platform, token] = (account, self._clock() + lives_seconds)
        return token

    def account(self, platform: str, token: str) -> str | None:
        """Whose it is; None for one that is unknown or has expired."""
        account, until = self._known.get((platform, token), ("", 0.0))
        return account if self._clock() < until else None

    def revoke_all(self, platform: str) -> None:
        """As if all of them had expired."""
        self._known = {place: held for place, held in self._known.items() if place[0] != platform}
