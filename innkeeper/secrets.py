"""Encryption at rest: a ring of keys, data keys derived from it, and digests of secrets.

Used by whoever writes to or reads from the store. Knows no store and no event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_DAY_BYTES = 4
_NONCE_BYTES = 12
HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES + _DAY_BYTES + _NONCE_BYTES
"""The first bytes of a sealed value, which no two have in common."""
_DAY_SECONDS = 86400
_LOOK_SECONDS = 1.0

Follow = Callable[[], Sequence[bytes] | None]
"""Gives the keys of a ring where they have become others, else None; raises nothing."""


class MissingKey(Exception):
    """Sealed with a key that is not in the ring. Nothing is wrong with the data."""


class Damaged(Exception):
    """Not what was sealed for this place: altered, moved or cut off."""


class _Keys:
    """The keys as they are for a while, with the ciphers derived from them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("the key ring is empty")
        self.by_id = {id_of_key(key): key for key in keys}
        self.first = next(iter(self.by_id))
        self.cipher = lru_cache(maxsize=4096)(self._derive)

    def digest(self, key_id: bytes, message: bytes) -> str:
        key = self._expand(key_id, b"digest")
        return f"{key_id.hex()}:{hmac.digest(key, message, 'sha256').hex()[:32]}"

    def _derive(self, key_id: bytes, purpose: str, partition: int, day: bytes) -> AESGCM:
        info = b"\x00".join((purpose.encode(), str(partition).encode(), day))
        return AESGCM(self._expand(key_id, info))

    def _expand(self, key_id: bytes, info: bytes) -> bytes:
        hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"innkeeper " + info)
        return hkdf.derive(self.by_id[key_id])


class KeyRing:
    """Keys of 32 bytes; the first seals, all of them open.

    Data keys are derived per (ring key, purpose, partition, day), so that no key seals more than
    a day's work of one partition.
    """

    def __init__(self, keys: Sequence[bytes], follow: Follow | None = None) -> None:
        """Take the ring's keys; `follow` tells when they have become others.

        Raises ValueError without any.
        """
        self._keys = _Keys(keys)
        self._follow = follow
        self._look_at = float("-inf") if follow else float("inf")
        self._missed_at = float("-inf")

    def seal(self, purpose: str, partition: int, place: str, plain: bytes, *, now: float) -> bytes:
        """Encrypt `plain` for a place (an instance and name, a delivery); `now` in seconds."""
        if time.monotonic() >= self._look_at:
            self._look()
        keys = self._keys
        day = int(now // _DAY_SECONDS).to_bytes(_DAY_BYTES, "big")
        nonce = os.urandom(_NONCE_BYTES)
        cipher = keys.cipher(keys.first, purpose, partition, day)
        sealed = cipher.encrypt(nonce, plain, place.encode())
        return b"".join((_VERSION, keys.first, day, nonce, sealed))

    def open(self, purpose: str, partition: int, place: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` made for the same place. Raises MissingKey, Damaged."""
        if len(sealed) < HEAD_BYTES or sealed[:1] != _VERSION:
            raise Damaged("not of a known form")
        keys, wanted = self._keys, sealed[1:5]
        if wanted not in keys.by_id:
            keys = self._looked_for(wanted)
        cipher = keys.cipher(wanted, purpose, partition, sealed[5:9])
        try:
            return cipher.decrypt(sealed[9:HEAD_BYTES], sealed[HEAD_BYTES:], place.encode())
        except InvalidTag:
            raise Damaged("altered, or sealed for another place") from None

    def reseal(
        self, purpose: str, partition: int, place: str, sealed: bytes, *, now: float
    ) -> bytes | None:
        """The same under the first key; None where it is so already. Raises MissingKey, Damaged."""
        if self.is_current(sealed):
            return None
        plain = self.open(purpose, partition, place, sealed)
        return self.seal(purpose, partition, place, plain, now=now)

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed under the first key."""
        return sealed[:5] == _VERSION + self._keys.first

    def digest(self, place: str, value: Any, held: str | None = None) -> str:
        """A keyed digest of a JSON value; `held` itself where that is of the same value."""
        keys = self._keys
        text = json.dumps(value, sort_keys=True, ensure_ascii=True)
        message = f"{place}\n{text}".encode()
        if held is not None:
            key_id = bytes.fromhex(held.partition(":")[0])
            if key_id in keys.by_id and hmac.compare_digest(keys.digest(key_id, message), held):
                return held
        return keys.digest(keys.first, message)

    def _look(self) -> None:
        self._look_at = time.monotonic() + _LOOK_SECONDS
        changed = self._follow() if self._follow else None
        if changed:
            self._keys = _Keys(changed)

    def _looked_for(self, wanted: bytes) -> _Keys:
        """The keys, one that is missed among them: it may just have been added."""
        if self._follow and time.monotonic() - self._missed_at >= _LOOK_SECONDS:
            self._missed_at = time.monotonic()
            self._look()
        keys = self._keys
        if wanted not in keys.by_id:
            raise MissingKey(f"the key {wanted.hex()} is not in the ring")
        return keys


def id_of_key(key: bytes) -> bytes:
    """By which a sealed value names its key: the first bytes of the key's SHA-256."""
    return hashlib.sha256(key).digest()[:_KEY_ID_BYTES]
