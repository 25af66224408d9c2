"""Key pairs from a seed: the same run signs with the same keys.

For a stand-in only: whoever knows the seed knows the keys, and RSA keys share their primes.
"""

from __future__ import annotations

import hashlib
import random
from functools import cache
from itertools import combinations, cycle

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

ALGORITHMS = ("rs256", "rs384", "rs512", "es256", "es384", "es512")

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "es256": ec.SECP256R1,
    "es384": ec.SECP384R1,
    "es512": ec.SECP521R1,
}
_EXPONENT = 65537
_PRIME_BITS = 1024
_PRIMES = 8  # make 28 different RSA keys, after which they come round again
_SIEVE = [n for n in range(3, 8000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


class KeyMaker:
    """Makes keys, each by its label; RSA keys in the order in which they are asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pairs = cycle(combinations(range(_PRIMES), 2))

    def make(self, algorithm: str, label: str) -> PrivateKey:
        """A key that fits the algorithm. KeyError for one that is none of ours."""
        if algorithm.startswith("rs"):
            p, q = (_primes(self._seed)[index] for index in next(self._pairs))
            return _rsa_key(p, q)
        digest = hashlib.shake_256(f"{self._seed}:{label}".encode()).digest(30)
        return ec.derive_private_key(int.from_bytes(digest, "big"), _CURVES[algorithm]())


def public_pem(key: PrivateKey) -> str:
    """The public half, as the marketplaces hand it out."""
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@cache
def _primes(seed: int) -> tuple[int, ...]:
    # Finding primes in Python takes a second or two: once a seed, and shared by many keys.
    rng = random.Random(f"{seed}:primes")  # noqa: S311
    return tuple(_prime(rng) for _ in range(_PRIMES))


def _prime(rng: random.Random) -> int:
    while True:
        # The two upper bits are set, so that a product of two has its full length.
        found = rng.getrandbits(_PRIME_BITS) | (3 << (_PRIME_BITS - 2)) | 1
        sieved = all(found % small for small in _SIEVE) and (found - 1) % _EXPONENT
        if sieved and all(pow(base, found - 1, found) == 1 for base in (2, 3)):
            return found


def _rsa_key(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(_EXPONENT, p * q),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
