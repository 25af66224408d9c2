"""Hosts, ports, networks and URLs as the file may state them, and which may go unencrypted.

Each reader returns the checked text or raises ValueError. No message quotes a URL: it may hold a
password. Nothing here resolves a name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

import msgspec

from innkeeper import addresses
from innkeeper.config.units import shown, text

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+))(?::([0-9]{1,5}))?")
_STORE_SCHEMES = ("redis", "rediss", "unix")


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)

    @property
    def reached_at(self) -> str:
        """`host:port` at which this machine reaches what is bound there."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"{_bracketed(host)}:{self.port}"


def without_password(url: str) -> str:
    """A store's URL as it may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2] or parts.path}"


def is_loopback(host: str) -> bool:
    """Whether `host` is localhost, 127.0.0.0/8 or ::1."""
    if addresses.is_address(host):
        return addresses.is_loopback(host)
    return host.lower() == "localhost"


def host_name(value: object) -> str:
    """A host name or IPv4 address, in lower case, without a port."""
    found = text(value)
    if ":" in found:
        raise ValueError(f"{shown(found)} is no host name")
    return _canonical(found)


def _canonical(host: str) -> str:
    try:
        return addresses.canonical(host)
    except ValueError:
        raise ValueError(f"{shown(host)} is no host name") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host_port(value: object) -> tuple[str, int | None]:
    match = _HOST_PORT.fullmatch(text(value))
    if not match:
        raise ValueError(f"{shown(value)} is not of the form host:port")
    host = _canonical(match[1] or match[2])
    port = int(match[3]) if match[3] else None
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"{shown(value)}: the port is not between 1 and 65535")
    return host, port


def bind(value: object) -> Bind:
    """An address to listen on, as `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000`."""
    host, port = _host_port(value)
    if port is None:
        raise ValueError(f"{shown(value)} is not of the form host:port")
    return Bind(host=host, port=port)


def allowed_host(value: object) -> str:
    """`host` or `host:port`, in lower case; an IPv6 address stands in brackets."""
    host, port = _host_port(value)
    return _bracketed(host) if port is None else f"{_bracketed(host)}:{port}"


def network(value: object) -> str:
    """An IP network, as `10.0.0.0/8`; a single address becomes a network of one."""
    found = text(value)
    try:
        return str(ipaddress.ip_network(found))
    except ValueError as wrong:
        raise ValueError(f"is no IP network: {wrong}") from None


def _split(value: object) -> SplitResult:
    found = text(value)
    try:
        parts = urlsplit(found)
        _ = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if not parts.scheme or any(letter.isspace() for letter in found):
        raise ValueError("is no URL")
    return parts


def _may_be_plain(parts: SplitResult, allow_hosts: Collection[str]) -> bool:
    host = _canonical(parts.hostname or "")
    named = {_bracketed(host), f"{_bracketed(host)}:{parts.port or 80}"}
    return is_loopback(host) or not named.isdisjoint(allow_hosts)


def url(value: object, allow_hosts: Collection[str]) -> str:
    """An https URL; http only to loopback or a host of `allow_hosts`. No user, no fragment."""
    parts = _split(value)
    if parts.scheme not in ("http", "https"):
        raise ValueError("is no https:// URL")
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password; a secret goes into the environment")
    if not parts.hostname:
        raise ValueError("is a URL without a host")
    _canonical(parts.hostname)
    if parts.fragment:
        raise ValueError("is a URL with a fragment (#…)")
    if parts.scheme == "http" and not _may_be_plain(parts, allow_hosts):
        allowed = "only for loopback or a host of [outgoing] allow_hosts"
        raise ValueError(f"http:// is {allowed}, not {parts.hostname}")
    return str(value)


def base_url(value: object, allow_hosts: Collection[str]) -> str:
    """Like `url`, for paths to be put behind it: no query; a slash at the end is dropped."""
    found = url(value, allow_hosts)
    if "?" in found:
        raise ValueError("is a URL with a query (?…), but paths are put behind it")
    return found.rstrip("/")


def store_url(value: object) -> str:
    """A URL of a Valkey or Redis server: redis://, rediss:// or unix://. May hold a password."""
    parts = _split(value)
    if parts.scheme not in _STORE_SCHEMES:
        raise ValueError("is no redis://, rediss:// or unix:// URL")
    if parts.scheme == "unix":
        if not parts.path.startswith("/"):
            raise ValueError("is a unix:// URL without the path of a socket")
    elif not parts.hostname:
        raise ValueError("is a URL without a host")
    return str(value)
