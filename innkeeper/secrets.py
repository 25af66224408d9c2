"""Encryption at rest: a ring of keys, data keys derived from it, and digests of secrets.

Used by whoever writes to or reads from the store. Knows no store and no event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Sequence
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
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES + _DAY_BYTES + _NONCE_BYTES
_DAY_SECONDS = 86400


class MissingKey(Exception):
    """Sealed with a key that is not in the ring. Nothing is wrong with the data."""


class Damaged(Exception):
    """Not what was sealed for this place: altered, moved or cut off."""


class KeyRing:
    """Keys of 32 bytes; the first seals, all of them open.

    Data keys are derived per (ring key, purpose, partition, day), so that no key seals more than
    a day's work of one partition.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the ring's keys. Raises ValueError without any."""
        if not keys:
            raise ValueError("the key ring is empty")
        self._keys = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: key for key in keys}
        self._first = next(iter(self._keys))
        self._cipher = lru_cache(maxsize=4096)(self._derive)

    def seal(self, purpose: str, partition: int, place: str, plain: bytes, *, now: float) -> bytes:
        """Encrypt `plain` for a place (an instance and name, a delivery); `now` in seconds."""
        day = int(now // _DAY_SECONDS).to_bytes(_DAY_BYTES, "big")
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._cipher(self._first, purpose, partition, day)
        sealed = cipher.encrypt(nonce, plain, place.encode())
        return b"".join((_VERSION, self._first, day, nonce, sealed))

    def open(self, purpose: str, partition: int, place: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` made for the same place. Raises MissingKey, Damaged."""
        if len(sealed) < _HEAD_BYTES or sealed[:1] != _VERSION:
            raise Damaged("not of a known form")
        key_id = sealed[1:5]
        if key_id not in self._keys:
            raise MissingKey(f"the key {key_id.hex()} is not in the ring")
        cipher = self._cipher(key_id, purpose, partition, sealed[5:9])
        try:
            return cipher.decrypt(sealed[9:_HEAD_BYTES], sealed[_HEAD_BYTES:], place.encode())
        except InvalidTag:
            raise Damaged("altered, or sealed for another place") from None

    def digest(self, place: str, value: Any, held: str | None = None) -> str:
        """A keyed digest of a JSON value; `held` itself where that is of the same value."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=True)
        message = f"{place}\n{text}".encode()
        if held is not None:
            key_id = bytes.fromhex(held.partition(":")[0])
            if key_id in self._keys and hmac.compare_digest(self._digest(key_id, message), held):
                return held
        return self._digest(self._first, message)

    def _digest(self, key_id: bytes, message: bytes) -> str:
        key = self._expand(key_id, b"digest")
        return f"{key_id.hex()}:{hmac.digest(key, message, 'sha256').hex()[:32]}"

    def _derive(self, key_id: bytes, purpose: str, partition: int, day: bytes) -> AESGCM:
        info = b"\x00".join((purpose.encode(), str(partition).encode(), day))
        return AESGCM(self._expand(key_id, info))

    def _expand(self, key_id: bytes, info: bytes) -> bytes:
        hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"innkeeper " + info)
        return hkdf.derive(self._keys[key_id])
