"""The vendor's four apps, as the marketplaces list them."""

from __future__ import annotations

import msgspec


class Offering(msgspec.Struct, frozen=True, kw_only=True):
    """An app on a marketplace. `old`: Xurrent speaks of it in the vocabulary of 2021."""

    platform: str
    name: str
    reference: str
    id: int = 0
    title: str
    old: bool = False


OFFERINGS = (
    Offering(
        platform="xurrent",
        name="note-dispatcher",
        reference="note-dispatcher",
        id=1,
        title="Log Note Dispatcher",
    ),
    Offering(
        platform="xurrent",
        name="badge-printer",
        reference="wdc_badge_printer",
        id=2,
        title="Badge Printer",
        old=True,
    ),
    Offering(platform="rebilly", name="loyalty", reference="app_01SIMULATED", title="Loyalty"),
    Offering(platform="xandr", name="bid-reports", reference="20", id=20, title="Bid Reports"),
)


def of_platform(platform: str) -> tuple[Offering, ...]:
    """The apps on one marketplace."""
    return tuple(found for found in OFFERINGS if found.platform == platform)
