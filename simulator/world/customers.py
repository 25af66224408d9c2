"""The customers: one list, and by which name each marketplace knows them."""

from __future__ import annotations

import random

import msgspec

_FIRST = ("Acme", "Borealis", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbour", "Indigo")
_SECOND = ("Airways", "Bakeries", "Clinics", "Data", "Energy", "Foods", "Galleries", "Hotels")
_PEOPLE = ("Howard Tanner", "Tom Waters", "Ellen Brown", "Grace Durant", "Marcel Chow")


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer. `number` from 1."""

    number: int
    name: str
    account: str
    representative: str

    @property
    def entity(self) -> tuple[str, int]:
        """What Xandr calls it: every fourth is a bidder."""
        return ("bidder" if self.number % 4 == 0 else "member", 200 + self.number)

    def account_on(self, platform: str) -> str:
        """Its account in the words of Innkeeper's register."""
        if platform == "xandr":
            kind, number = self.entity
            return f"{kind}:{number}"
        return f"org_{self.account}" if platform == "rebilly" else self.account


def make_customers(count: int, rng: random.Random) -> tuple[Customer, ...]:
    """That many customers, each with an account of its own."""
    return tuple(_customer(number, rng) for number in range(1, count + 1))


def _customer(number: int, rng: random.Random) -> Customer:
    first, second = rng.choice(_FIRST), rng.choice(_SECOND)
    return Customer(
        number=number,
        name=f"{first} {second} {number}",
        account=f"{first}-{second}-{number:03}".lower(),
        representative=rng.choice(_PEOPLE),
    )
