"""A marketplace that names its keys: issuers on one https site, sound ones and all other kinds.

Each issuer is a webhook policy of the site: `https://127.0.0.1:<port>/webhook_policies/<name>`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.keys import key_for
from tests.receiver.test_discovery_mode import jwk
from tests.sites import Reply, Site, make_certificate, reply, site

LONG_SECONDS = 8.0
HUGE_BYTES = 64 << 20


class Issuers:
    """The site; what its issuers answer can be changed at any time."""

    def __init__(self, running: Site, certificate: Path) -> None:
        self.certificate = certificate
        self.host = f"127.0.0.1:{running.port}"
        self._site = running

    def issuer(self, name: str = "main") -> str:
        """An issuer as its tokens name it."""
        return f"https://{self.host}/webhook_policies/{name}"

    @property
    def fetches(self) -> int:
        """How often a set of keys was asked for."""
        return sum(path.startswith("/jwks/") for path in self._site.paths)

    def publish(self, name: str = "main", /, **owners: str) -> None:
        """Have an issuer name these owners' ES512 keys, by kid."""
        keys = [jwk(kid, key_for("ES512", owner)) for kid, owner in owners.items()]
        self._says(name, {"issuer": self.issuer(name), "jwks_uri": self._uri(name)})
        self._site.replies[f"/jwks/{name}"] = _json({"keys": keys})

    def silence(self, name: str = "main") -> None:
        """Have an issuer give no keys any more."""
        self._site.replies[f"/jwks/{name}"] = reply("503 Service Unavailable")

    def misbehave(self) -> list[str]:
        """Have issuers that give no keys, each in a way of its own; their names."""
        private = {**jwk("one", key_for("ES512")), "d": "AQAB"}
        elsewhere = f"https://127.0.0.1:{int(self.host.rpartition(':')[2]) + 1}/jwks/elsewhere"
        odd: dict[str, Reply] = {
            "away": reply("503 Service Unavailable"),
            "hung": lambda connection: time.sleep(LONG_SECONDS),
            "dripping": _drips,
            "huge": _never_ends,
            "redirecting": reply("302 Found", b"", f"Location: {self._uri('main')}"),
            "no-json": reply("200 OK", b"<p>Welcome"),
            "another": _json({"issuer": self.issuer(), "jwks_uri": self._uri("main")}),
            "elsewhere": _json({"issuer": self.issuer("elsewhere"), "jwks_uri": elsewhere}),
            "leaking": _json({"jwks_uri": self._uri("leaking")}),
        }
        for name, answer in odd.items():
            self._site.replies[_well_known(name)] = answer
        self._site.replies["/jwks/leaking"] = _json({"keys": [private]})
        return [*odd]

    def _says(self, name: str, document: dict[str, Any]) -> None:
        self._site.replies[_well_known(name)] = _json(document)

    def _uri(self, name: str) -> str:
        return f"https://{self.host}/jwks/{name}"


@contextlib.contextmanager
def issuing(folder: Path) -> Iterator[Issuers]:
    """The site, for the time of a trial; its certificate lies in `folder`."""
    certificate, tls = make_certificate(folder, "127.0.0.1")
    with site(tls) as running:
        yield Issuers(running, certificate)


def _well_known(name: str) -> str:
    return f"/webhook_policies/{name}/.well-known/openid-configuration"


def _json(document: Any) -> bytes:
    return reply("200 OK", json.dumps(document).encode())


def _drips(connection: socket.socket) -> None:
    """A byte now and then."""
    until = time.monotonic() + LONG_SECONDS
    for byte in reply("200 OK", b"{" * 1000):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)
        if time.monotonic() > until:
            return


def _never_ends(connection: socket.socket) -> None:
    """More and more of it, as long as anybody reads."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(HUGE_BYTES >> 16):
        connection.sendall(b"[" * (1 << 16))
