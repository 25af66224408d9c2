"""Canaries: random texts that stand where secrets do, and a search for them in any clothing."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Mapping

AWKWARD = '"\\/+=&%é😀'
"""What JSON, URLs and Python write otherwise than it is."""


class Canaries:
    """All canaries of a run, by the place where they stand.

    A canary's core has letters and digits only, so that every way of writing leaves it as it is.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._cores: dict[str, bytes] = {}

    def plain(self, place: str) -> str:
        """A secret of 24 characters, none of them odd."""
        core = f"{self._rng.getrandbits(96):024x}"
        self._cores[place] = core.encode()
        return core

    def odd(self, place: str, around: str = AWKWARD) -> str:
        """A secret that is written otherwise wherever something is quoted."""
        return f"{around[:3]}{self.plain(place)}{around[3:]}"

    def raw(self, place: str, secret: bytes) -> bytes:
        """A secret that is bytes: a key."""
        self._cores[place] = secret
        return secret

    def found_in(self, held: Mapping[str, bytes]) -> list[str]:
        """Where which canary was found: `place in name`."""
        needles = {place: tuple(_clothed(core)) for place, core in self._cores.items()}
        return [
            f"{place} in {name}"
            for name, content in held.items()
            for place, forms in needles.items()
            if any(form in content for form in forms)
        ]


def _clothed(core: bytes) -> Iterator[bytes]:
    """Both halves, for a text may be cut off: as they are, in hexadecimal, and in base64."""
    middle = len(core) // 2
    for half in (core[:middle], core[middle:]):
        yield half
        yield half.hex().encode()
        for offset in range(3):
            # The first and the last characters depend on what stands beside it.
            encoded = base64.b64encode(b"." * offset + half)[4 if offset else 0 : -4]
            yield encoded
            yield encoded.translate(bytes.maketrans(b"+/", b"-_"))
