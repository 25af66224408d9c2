"""Access tokens of the marketplaces, shared by all processes: encrypted, until they run out.

Used by the marketplaces' clients. A token is worth nothing but a sign-in: one that cannot be opened
is as good as none. Knows no marketplace.
"""

from __future__ import annotations

import time
import uuid

from innkeeper.secrets import Damaged, KeyRing, MissingKey
from innkeeper.store.connection import Store, script
from innkeeper.store.keys import TOKENS

_PURPOSE, _PARTITION = "token", 0


class Tokens:
    """The tokens by name; a name says whose they are and holds no secret.

    Raises StoreError, StoreUnavailable.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        """Keep them in `store`, sealed with `ring`."""
        self._store = store
        self._ring = ring
        self._holder = uuid.uuid4().hex

    def get(self, name: str) -> str | None:
        """The token; None where there is none, or none any more."""
        sealed = self._store.command("GET", TOKENS + name)
        return None if sealed is None else self._opened(name, sealed)

    def put(self, name: str, token: str, *, lives_seconds: float) -> None:
        """Keep a token for as long as it lives; one that does not live a second is not kept."""
        if lives_seconds < 1:
            return
        sealed = self._ring.seal(_PURPOSE, _PARTITION, name, token.encode(), now=time.time())
        self._store.command("SET", TOKENS + name, sealed, "PX", int(lives_seconds * 1000))

    def drop(self, name: str, token: str) -> None:
        """Forget a token, if it still is that one: another process may have renewed it."""
        sealed = self._store.command("GET", TOKENS + name)
        if sealed is not None and self._opened(name, sealed) == token:
            self._store.command(*script("yield").call([TOKENS + name], [sealed]))

    def lease(self, name: str, seconds: float) -> bool:
        """Whether the caller may sign in now: nobody else does, nor will within `seconds`."""
        key = f"{TOKENS}{name}:lease"
        taken = self._store.command("SET", key, self._holder, "NX", "PX", int(seconds * 1000))
        return bool(taken)

    def release(self, name: str) -> None:
        """Give a lease back before its end, if it still is ours."""
        self._store.command(*script("yield").call([f"{TOKENS}{name}:lease"], [self._holder]))

    def attempts(self, name: str, *, per_seconds: float, at_most: int) -> int:
        """Count a sign-in; how many there are within the last `per_seconds`, with this one.

        More than `at_most` means that it may not be made, and it is not counted.
        """
        call = script("attempt").call(
            [f"{TOKENS}{name}:attempts"], [int(per_seconds * 1000), at_most]
        )
        return int(self._store.command(*call))

    def _opened(self, name: str, sealed: bytes) -> str | None:
        try:
            return self._ring.open(_PURPOSE, _PARTITION, name, sealed).decode()
        except (MissingKey, Damaged):
            return None
