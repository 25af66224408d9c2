"""The digests that tell an instance's secrets apart, under a key that outlives every key ring.

Used by whoever folds. The key is made with the store and lies in it, sealed by the ring; rotation
seals it anew, so that a secret keeps its digest when the ring's keys are retired.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from typing import Any

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.lifecycle.facts import Digest
from innkeeper.secrets import Damaged, KeyRing, MissingKey
from innkeeper.store.connection import Store
from innkeeper.store.keys import DIGEST_KEY

DIGEST_KEY_PLACE = ("digest", 0, DIGEST_KEY)
"""Purpose, partition and place under which the digest key is sealed."""
_KEY_BYTES = 32
_FRESH_SECONDS = 1.0


class Digests:
    """Makes digests with the store's digest key, which is read when it is first needed."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        """Use the key of `store`, which `ring` opens."""
        self._store = store
        self._ring = ring
        self._sealed = self._key = b""
        self._read_at = float("-inf")

    def of(self, instance: InstanceKey) -> Digest:
        """How an instance's secrets are told apart: 32 hex digits, the same for equal values.

        The function raises MissingKey where the digest key cannot be opened, StoreError,
        StoreUnavailable.
        """

        def digest(name: str, value: Any) -> str:
            text = json.dumps(value, sort_keys=True, ensure_ascii=True)
            message = f"{instance}\n{name}\n{text}".encode()
            return hmac.digest(self._current(), message, "sha256").hex()[:32]

        return digest

    def of_name(self, instance: InstanceKey) -> str:
        """What stands for an instance's name where the name itself must not. Raises as `of`."""
        message = f"instance\n{instance}".encode()
        return hmac.digest(self._current(), message, "sha256").hex()[:32]

    def _current(self) -> bytes:
        # Looked up again after a second: a store that was wiped has another key, and all processes
        # have to use the same.
        if time.monotonic() - self._read_at >= _FRESH_SECONDS:
            sealed = self._store.command("GET", DIGEST_KEY) or self._make()
            if sealed != self._sealed:
                self._key, self._sealed = self._opened(sealed), sealed
            self._read_at = time.monotonic()
        return self._key

    def _make(self) -> bytes:
        """Make the key, unless another process is faster; as the store has it."""
        key = os.urandom(_KEY_BYTES)
        sealed = self._ring.seal(*DIGEST_KEY_PLACE, key, now=time.time())
        self._store.command("SET", DIGEST_KEY, sealed, "NX")
        return bytes(self._store.command("GET", DIGEST_KEY))

    def _opened(self, sealed: bytes) -> bytes:
        try:
            return self._ring.open(*DIGEST_KEY_PLACE, sealed)
        except Damaged as error:
            # No entry is to blame for it.
            raise MissingKey(f"the store's digest key is damaged: {error}") from error
