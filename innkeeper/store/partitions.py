"""The 64 partitions: which instance belongs to which, and the hash tags that spread them.

The number and the tags are for ever: they stand in every key and every delivery id.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from innkeeper.lifecycle.events import DeliveryId, InstanceKey

# The tag of partition p lies in the p-th 64th of a cluster's 16,384 slots.
# fmt: off
TAGS = (
    "mm", "6q", "9i", "e8", "29", "21", "ap", "ax", "0j", "kv", "dn", "df", "3g", "o6", "gc", "xw",
    "8g", "d6", "lc", "02", "g3", "4c", "on", "4r", "99", "91", "1d", "m5", "fm", "yy", "2i", "iu",
    "7a", "k0", "ce", "8y", "4l", "op", "x9", "x1", "jf", "1z", "zj", "b3", "ik", "2w", "yg", "fs",
    "bk", "9w", "6o", "ms", "af", "an", "5b", "i3", "c5", "dp", "kh", "0t", "xi", "xa", "he", "44",
)
# fmt: on
PARTITIONS = range(len(TAGS))
_BY_NUMBER = {str(number): number for number in PARTITIONS}


@lru_cache(maxsize=4096)
def partition_of(key: InstanceKey) -> int:
    """The partition of an instance: from the first 8 bytes of SHA-256 of its exact name."""
    digest = hashlib.sha256(str(key).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % len(TAGS)


def partition_in(name: DeliveryId | str) -> int:
    """The partition that stands before the `-` of a delivery's or a dead letter's id.

    Raises ValueError where none does.
    """
    number, dash, rest = name.partition("-")
    if not (dash and rest and number in _BY_NUMBER):
        raise ValueError(f"no such id: {name:.80}")
    return _BY_NUMBER[number]
