"""The one HTTP client for calls to others: guarded, and bounded in time and size.

Called by handshakes, posted follow-ups, key discovery and the marketplaces' clients. Follows no
redirect, obeys no proxy of the environment, keeps no cookie and no connection, logs nothing.
Must not know what a call is for.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

import httpcore2
import httpx2
import msgspec

from innkeeper.addresses import canonical, is_address, is_loopback, is_public, resolve
from innkeeper.pinned import PinnedNetwork, left

_NO_HEADERS: Mapping[str, str] = {}
_OURS = frozenset({"host", "user-agent", "accept-encoding", "content-length", "connection"})
_DEFAULT_PORTS = {"https": 443, "http": 80}
_TRANSPORT_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, whatever its status. `headers`: names in lower case, in order of arrival."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value under `name`, in whatever case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)

    def __repr__(self) -> str:
        """Sizes only: an answer may hold tokens, and representations end up in logs."""
        return f"Answer({self.status}, {len(self.headers)} headers, {len(self.body)} bytes)"


class Unreachable(Exception):
    """It could not be sent, or no whole answer came. Whether it had an effect is unknown.

    Names the host and the cause, never a path, query, header or body.
    """


class Forbidden(Exception):
    """Our own rules forbid the call (scheme, host or address); nothing was sent."""


class _Unfit(Exception):
    """An answer that is not taken; says why."""


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    scheme: str
    host: str
    port: int
    host_header: bytes
    path: bytes


class Outgoing:
    """Makes guarded calls, from any number of threads; each on a connection of its own.

    `allow_hosts`: `host` or `host:port`, in the internal network by the operator's word: http is
    allowed to them, and `public_only` does not concern them. ValueError for what is neither.
    """

    def __init__(
        self,
        allow_hosts: Iterable[str] = (),
        *,
        timeout_seconds: float = 10.0,
        max_answer_bytes: int = 1 << 20,
    ) -> None:
        self._allowed = frozenset(_host_and_port(entry) for entry in allow_hosts)
        self._timeout_seconds = timeout_seconds
        self._max_answer_bytes = max_answer_bytes
        # Of the environment only SSL_CERT_FILE and SSL_CERT_DIR count: an operator's own authority.
        self._tls = httpx2.create_ssl_context()
        self._user_agent = f"innkeeper/{_own_version()}"
        self._closed = False
        # At DEBUG it would log the headers of requests and answers.
        logging.getLogger("httpcore2").setLevel(logging.CRITICAL)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        content: bytes | None = None,
        only_host: str | None = None,
        public_only: bool = False,
        timeout_seconds: float | None = None,
        max_answer_bytes: int | None = None,
    ) -> Answer:
        """Send one request and read its whole answer; a redirect is an answer like any other.

        `only_host`: `host` (port 443) or `host:port`, to which the URL has to point.
        `public_only`: every address of the host has to be a public one. `timeout_seconds`: for all
        of it, from the name's resolution to the body's last byte. Raises Unreachable, Forbidden.
        """
        target = self._target(url, only_host)
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        most = self._max_answer_bytes if max_answer_bytes is None else max_answer_bytes
        if self._closed:
            raise Unreachable(f"{target.host}: the client is closed")
        ends = time.monotonic() + seconds
        try:
            addresses = self._addresses(target, public_only, ends)
            request = self._request(method, target, headers, content)
            return self._exchange(request, PinnedNetwork(addresses, ends), most)
        except (OSError, *_TRANSPORT_ERRORS) as error:
            raise Unreachable(f"{target.host}: {_cause(error, seconds)}") from None
        except _Unfit as error:
            raise Unreachable(f"{target.host}: {error}") from None

    def close(self) -> None:
        """Refuse further calls (Unreachable). Nothing is held open between calls."""
        self._closed = True

    def _target(self, url: str, only_host: str | None) -> _Target:
        target = _parsed(url)
        if only_host is not None and not _is_at(target, only_host):
            raise Forbidden(f"{target.host}:{target.port} is not {only_host}")
        if target.scheme == "https" or self._is_allowed(target):
            return target
        if target.host == "localhost" or (is_address(target.host) and is_loopback(target.host)):
            return target
        raise Forbidden(f"{target.host}: http is only for loopback and allowed hosts")

    def _addresses(self, target: _Target, public_only: bool, ends: float) -> tuple[str, ...]:
        addresses = resolve(target.host, target.port, left(ends))
        if self._is_allowed(target):
            return addresses
        for address in addresses:
            if public_only and not is_public(address):
                raise Forbidden(f"{target.host}: {address} is no public address")
            if target.scheme == "http" and not is_loopback(address):
                raise Forbidden(f"{target.host}: http, and {address} is not loopback")
        return addresses

    def _is_allowed(self, target: _Target) -> bool:
        return not self._allowed.isdisjoint({(target.host, None), (target.host, target.port)})

    def _request(
        self, method: str, target: _Target, headers: Mapping[str, str], content: bytes | None
    ) -> httpcore2.Request:
        fields: dict[str | bytes, str | bytes] = {
            name: value.encode() for name, value in headers.items() if name.lower() not in _OURS
        }
        fields["Host"] = target.host_header
        fields["User-Agent"] = self._user_agent
        fields["Accept-Encoding"] = "identity"
        fields["Connection"] = "close"
        if content is not None or method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = str(len(content or b""))
        url = httpcore2.URL(
            scheme=target.scheme, host=target.host, port=target.port, target=target.path
        )
        return httpcore2.Request(method, url, headers=fields, content=content)

    def _exchange(self, request: httpcore2.Request, network: PinnedNetwork, most: int) -> Answer:
        connection = httpcore2.HTTPConnection(
            request.url.origin, ssl_context=self._tls, network_backend=network
        )
        try:
            response = connection.handle_request(request)
            headers = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in response.headers
            )
            answer = Answer(status=response.status, headers=headers, body=b"")
            return msgspec.structs.replace(answer, body=_body(response, answer, most))
        finally:
            connection.close()


def _body(response: httpcore2.Response, answer: Answer, most: int) -> bytes:
    if (answer.header("content-encoding") or "identity").strip().lower() != "identity":
        raise _Unfit("the answer is compressed, which we did not ask for")
    body = bytearray()
    announced = answer.header("content-length") or ""
    if not (announced.isdecimal() and int(announced) > most):
        for piece in response.iter_stream():
            body += piece
            if len(body) > most:
                break
        else:
            return bytes(body)
    raise _Unfit(f"the answer is larger than {most} bytes")


def _parsed(url: str) -> _Target:
    """A URL taken apart. Raises Forbidden, without repeating it: it may hold a code."""
    try:
        parts = httpx2.URL(url)
        host = canonical(parts.raw_host.decode())
    except (httpx2.InvalidURL, ValueError):
        raise Forbidden("not a usable URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise Forbidden(f"{host}: the scheme is neither https nor http")
    port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if parts.userinfo or not 0 < port < 1 << 16:
        raise Forbidden(f"{host}: a URL with user info, or an impossible port")
    return _Target(
        scheme=parts.scheme, host=host, port=port, host_header=parts.netloc, path=parts.raw_path
    )


def _is_at(target: _Target, only_host: str) -> bool:
    try:
        host, port = _host_and_port(only_host)
    except ValueError:
        return False
    return (target.host, target.port) == (host, port or _DEFAULT_PORTS["https"])


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Read `host` or `host:port`. Raises ValueError."""
    bracketed = f"[{text}]" if is_address(text) and ":" in text else text
    try:
        parts = httpx2.URL(f"any://{bracketed}")
    except httpx2.InvalidURL:
        raise ValueError(f"not a host: {text!r}") from None
    if parts.userinfo or parts.raw_path != b"/" or parts.fragment:
        raise ValueError(f"not a host: {text!r}")
    return canonical(parts.raw_host.decode()), parts.port


def _own_version() -> str:
    try:
        return version("innkeeper")
    except PackageNotFoundError:
        return "unknown"


def _cause(error: Exception, seconds: float) -> str:
    reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(error, TimeoutError | httpcore2.TimeoutException):
        return f"no whole answer within {seconds:g} s"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {reason.verify_message}"
    if isinstance(reason, ssl.SSLError):
        return f"TLS failed: {reason.reason}"
    if isinstance(reason, socket.gaierror):
        return f"name not resolved: {reason.strerror}"
    if isinstance(reason, OSError):
        return f"connection failed: {reason.strerror or reason}"
    if isinstance(error, httpcore2.LocalProtocolError):
        return "the request is not valid HTTP"
    return "the answer was cut off, or is not HTTP"
