"""Who is calling: the address behind trusted proxies, and whether it is among given networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from starlette.requests import Request

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks from their texts, which the configuration has checked."""
    return tuple(ip_network(text, strict=False) for text in texts)


def is_within(address: str, allowed: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; False for what is no address."""
    found = _parsed(address)
    return found is not None and any(found in network for network in allowed)


@lru_cache(maxsize=4096)
def neighbourhood(address: str) -> str:
    """Whoever may call from many addresses as easily as from this one: the /64 of IPv6."""
    found = _parsed(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return str(found or address)


@lru_cache(maxsize=4096)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def caller_of(request: Request, trusted: Sequence[Network]) -> str:
    """The caller's address: that of the connection, or what trusted proxies say, from the right."""
    address = request.client.host if request.client else ""
    if not trusted or not is_within(address, trusted):
        return address
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed([hop.strip() for hop in forwarded if hop.strip()]):
        address = hop
        if not is_within(hop, trusted):
            break
    return address
