"""Host names and their addresses, and which of them lie in the public network.

Called by the guarded HTTP client. Knows nothing of HTTP and decides nothing.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import threading
from ipaddress import IPv4Address, IPv6Address

# Forms that carry an IPv4 address to which the network delivers in the end; `offset`: bits from
# the right end to that address. Others of the kind (Teredo, IPv4-compatible) are not public.
_CARRYING_IPV4 = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4
)
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def resolve(host: str, port: int, within_seconds: float) -> tuple[str, ...]:
    """All distinct addresses of `host` (a name, or itself an address), in the resolver's order.

    Raises TimeoutError, or another OSError when there is no such name.
    """
    if is_address(host):
        return (host,)
    found: queue.SimpleQueue[tuple[str, ...] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put(tuple(dict.fromkeys(str(answer[4][0]) for answer in answers)))
        except (OSError, UnicodeError) as error:
            found.put(error)

    # getaddrinfo knows no time-out and may take half a minute: it is left behind in its thread.
    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        result = found.get(timeout=within_seconds)
    except queue.Empty:
        raise TimeoutError("name resolution") from None
    if isinstance(result, UnicodeError) or result == ():
        raise OSError("no such name")
    if isinstance(result, OSError):
        raise result
    return result


def is_address(host: str) -> bool:
    """Whether `host` is an IPv4 or IPv6 address in its usual form, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def canonical(host: str) -> str:
    """The one way to write `host`, a name in ASCII or an address. ValueError for anything else."""
    if is_address(host):
        return str(ipaddress.ip_address(host))
    if not _NAME.fullmatch(host.lower()):
        raise ValueError(f"not a host: {host!r}")
    return host.lower()


def is_loopback(address: str) -> bool:
    """Whether `address` is of 127.0.0.0/8 or ::1."""
    return ipaddress.ip_address(address).is_loopback


def is_public(address: str) -> bool:
    """Whether `address` is a global unicast one, also where it carries an IPv4 address."""
    return _is_public(ipaddress.ip_address(address))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        for network, offset in _CARRYING_IPV4:
            if address in network:
                return _is_public(IPv4Address(int(address) >> offset & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    # Python calls multicast addresses global, and reserved ones in part.
    return address.is_global and not (address.is_multicast or address.is_reserved)
