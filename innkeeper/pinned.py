"""Connections to addresses that were checked, with one deadline for all that happens on them.

Called by the guarded HTTP client, as httpx2's connection layer has its networks plugged in. Knows
nothing of HTTP.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore2

_WRITE_BYTES = 1 << 16


def left(ends: float) -> float:
    """Seconds until `ends` on the monotonic clock. Raises TimeoutError when there are none."""
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class PinnedNetwork(httpcore2.NetworkBackend):
    """Connects to the addresses that were checked, whatever a name says by now."""

    def __init__(self, addresses: tuple[str, ...], ends: float) -> None:
        self._addresses = addresses
        self._ends = ends

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection to the first address that takes one; `host` is for TLS alone."""
        refused: Exception | None = None
        for tried, address in enumerate(self._addresses):
            share = left(self._ends) / (len(self._addresses) - tried)
            try:
                stream = httpcore2.SyncBackend().connect_tcp(address, port, timeout=share)
                return _BoundedStream(stream, self._ends)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                refused = error
        raise refused or httpcore2.ConnectError("no address")


class _BoundedStream(httpcore2.NetworkStream):
    """A connection with one deadline for all that happens on it.

    The time-outs of httpx2 hold for a single read: a byte now and then would keep us for ever.
    """

    def __init__(self, stream: httpcore2.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes`; TimeoutError or ReadTimeout at the deadline."""
        return self._stream.read(max_bytes, timeout=left(self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of `buffer`; TimeoutError or WriteTimeout at the deadline."""
        for start in range(0, len(buffer), _WRITE_BYTES):
            piece = buffer[start : start + _WRITE_BYTES]
            self._stream.write(piece, timeout=left(self._ends))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """The same connection, encrypted; the certificate is checked against the name."""
        try:
            seconds = left(self._ends)
        except TimeoutError:
            self.close()
            raise
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout=seconds)
        return _BoundedStream(stream, self._ends)

    def get_extra_info(self, info: str) -> Any:
        """What the connection below tells."""
        return self._stream.get_extra_info(info)
