"""Who is calling: the address behind trusted proxies, and whether it is among given networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks from their texts, which the configuration has checked."""
    return tuple(ip_network(text, strict=False) for text in texts)


def is_within(address: str, allowed: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; False for what is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in allowed)


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
