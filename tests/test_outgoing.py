"""The guarded HTTP client against real servers on loopback."""

from __future__ import annotations

import gzip
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from innkeeper.addresses import is_public
from innkeeper.outgoing import Forbidden, Outgoing, Unreachable
from tests.sites import Site, make_certificate, reply, site

PUBLIC_ADDRESS = "93.184.215.14"


@pytest.fixture
def plain() -> Iterator[Site]:
    """A site without TLS."""
    with site() as running:
        yield running


@pytest.fixture
def outgoing() -> Outgoing:
    """A client with the defaults of the product, but for its patience."""
    return Outgoing(timeout_seconds=5)


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site named acme.test, whose certificate clients made in the test trust."""
    trusted, tls = make_certificate(tmp_path, "acme.test", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with site(tls) as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Name -> what the resolver answers, look-up by look-up; the last answer stays."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolver(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in answers:
            return real(host, *rest, **more)
        now = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [entry for address in now for entry in real(address, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return answers


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[tuple[str, int]]]:
    """Leads every connection to a local port, and tells where it was to go."""

    def lead_to(port: int) -> list[tuple[str, int]]:
        wanted: list[tuple[str, int]] = []
        real = socket.create_connection

        def connect(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
            wanted.append(address)
            return real(("127.0.0.1", port), *rest, **more)

        monkeypatch.setattr(socket, "create_connection", connect)
        return wanted

    return lead_to


def at(server: Site, path: str = "/") -> str:
    """The URL of a path there."""
    return f"http://127.0.0.1:{server.port}{path}"


def test_request_and_answer_arrive_whole(plain: Site, outgoing: Outgoing) -> None:
    """Method, path, headers and body reach the server, status, headers and body come back."""
    plain.replies["/a?b=1"] = reply("201 Created", b"done", "X-Id: 7")
    answer = outgoing.request(
        "POST", at(plain, "/a?b=1"), headers={"X-Mine": "yes", "HOST": "evil"}, content=b"body"
    )
    head, _, body = plain.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert (answer.status, answer.header("x-ID"), answer.body) == (201, "7", b"done")
    assert answer.header("absent") is None
    assert lines[0] == "post /a?b=1 http/1.1"
    assert body == b"body"
    assert {"x-mine: yes", f"host: 127.0.0.1:{plain.port}", "accept-encoding: identity"} <= {*lines}
    assert any(line.startswith("user-agent: innkeeper/") for line in lines)
    assert "evil" not in head.decode()


def test_a_representation_shows_no_content(plain: Site, outgoing: Outgoing) -> None:
    """The representation of an answer holds neither headers nor body."""
    plain.replies["/"] = reply("200 OK", b"canary", "Set-Cookie: canary")
    assert "canary" not in repr(outgoing.request("GET", at(plain)))


def test_redirects_and_cookies_are_not_followed(plain: Site, outgoing: Outgoing) -> None:
    """A redirect is an answer, and what a server asks us to remember is not sent to it again."""
    plain.replies["/"] = reply("302 Found", b"", "Location: /other", "Set-Cookie: a=b")
    assert [outgoing.request("GET", at(plain)).status for _ in range(2)] == [302, 302]
    assert plain.paths == ["/", "/"]
    assert b"cookie" not in plain.requests[1].lower()


def test_proxies_of_the_environment_are_not_used(
    plain: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY and ALL_PROXY change nothing."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert Outgoing().request("GET", at(plain)).status == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "http://127.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user:canary@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://exa\nmple.com/",
        "https:///path",
        "//example.com",
        "",
    ],
)
def test_other_schemes_and_odd_urls_are_forbidden(outgoing: Outgoing, url: str) -> None:
    """Nothing but https, or http to loopback, is called; nor a URL that two parsers read apart."""
    with pytest.raises(Forbidden) as caught:
        outgoing.request("GET", url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("entry", ["internal.test", "INTERNAL.test:{port}"])
def test_an_allowed_host_may_be_called_by_http(
    plain: Site, names: dict[str, list[list[str]]], entry: str
) -> None:
    """`allow_hosts` opens http and private addresses to a host, or to one port of it."""
    names["internal.test"] = [["127.0.0.1"]]
    client = Outgoing([entry.format(port=plain.port)])
    url = f"http://internal.test:{plain.port}/"
    assert client.request("GET", url, public_only=True).status == 404
    with pytest.raises(Forbidden):
        Outgoing(["internal.test:1"]).request("GET", url)


@pytest.mark.parametrize("entry", ["", "a/b", "user@host", "http://host", "host:port", "a b"])
def test_an_allowed_host_must_be_one(entry: str) -> None:
    """An entry of `allow_hosts` that is neither host nor host:port is an error at once."""
    with pytest.raises(ValueError, match="not a host"):
        Outgoing([entry])


def test_localhost_that_lies_elsewhere_is_forbidden(
    outgoing: Outgoing, names: dict[str, list[list[str]]]
) -> None:
    """http to `localhost` goes to loopback, whatever the resolver says."""
    names["localhost"] = [["127.0.0.1", "10.0.0.1"]]
    with pytest.raises(Forbidden, match="not loopback"):
        outgoing.request("GET", "http://localhost:9/")


@pytest.mark.parametrize(
    "only",
    ["example.com", "127.0.0.1", "127.0.0.1:1", "localhost:{port}", "evil.127.0.0.1:{port}", "?"],
)
def test_another_host_or_port_than_the_only_one_is_forbidden(
    plain: Site, outgoing: Outgoing, only: str
) -> None:
    """With `only_host`, host and port have to be exactly that."""
    with pytest.raises(Forbidden):
        outgoing.request("GET", at(plain), only_host=only.format(port=plain.port))
    assert plain.requests == []


def test_the_only_host_is_compared_in_its_plain_form(
    secure: Site, names: dict[str, list[list[str]]], connected: Any
) -> None:
    """Upper case and the default port are no difference, and an IDNA name is its ASCII form."""
    names["acme.test"] = [[PUBLIC_ADDRESS]]
    connected(secure.port)
    client = Outgoing()
    answer = client.request("GET", "https://ACME.test:443/", only_host="acme.Test")
    assert answer.status == 404
    with pytest.raises(Forbidden):
        client.request("GET", "https://bücher.test/", only_host="bucher.test")
    with pytest.raises(Unreachable):
        client.request("GET", "https://bücher.test/", only_host="xn--bcher-kva.test")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1",
        "fe80::1%1", "fc00::1", "ff02::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_told(address: str) -> None:
    """Private, local, reserved and multicast addresses are not public, in none of their forms."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", PUBLIC_ADDRESS, "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_a_public_address_is_told(address: str) -> None:
    """Global unicast addresses are public, also those that NAT64 carries."""
    assert is_public(address)


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["::ffff:10.0.0.1"], [PUBLIC_ADDRESS, "192.168.0.1"]]
)
def test_a_name_with_a_private_address_is_forbidden(
    outgoing: Outgoing, names: dict[str, list[list[str]]], connected: Any, answers: list[str]
) -> None:
    """With `public_only`, one private address of a name is enough; nothing is connected."""
    names["acme.test"] = [answers]
    wanted = connected(1)
    with pytest.raises(Forbidden, match=r"acme\.test.*no public address"):
        outgoing.request("GET", "https://acme.test/", public_only=True)
    assert wanted == []


def test_a_second_answer_of_the_resolver_changes_nothing(
    secure: Site, names: dict[str, list[list[str]]], connected: Any
) -> None:
    """The connection goes to the address that was checked (DNS rebinding), by name within TLS."""
    names["acme.test"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]
    wanted = connected(secure.port)
    answer = Outgoing().request("GET", "https://acme.test/", public_only=True)
    assert answer.status == 404
    assert wanted == [(PUBLIC_ADDRESS, 443)]
    assert b"Host: acme.test\r\n" in secure.requests[0]


def test_the_certificate_has_to_be_of_the_name(
    secure: Site, names: dict[str, list[list[str]]], connected: Any
) -> None:
    """A certificate for another name, or of an unknown authority, is not accepted."""
    names["other.test"] = names["acme.test"] = [[PUBLIC_ADDRESS]]
    connected(secure.port)
    with pytest.raises(Unreachable, match=r"other\.test: certificate not accepted"):
        Outgoing().request("GET", "https://other.test/?code=canary")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE")
        with pytest.raises(Unreachable, match=r"acme\.test: certificate not accepted"):
            Outgoing().request("GET", "https://acme.test/")
    assert secure.requests == []


def test_the_next_address_is_tried(plain: Site, names: dict[str, list[list[str]]]) -> None:
    """Where one address of a name refuses, another one is taken."""
    names["localhost"] = [["::1", "127.0.0.1"]]
    assert Outgoing().request("GET", f"http://localhost:{plain.port}/").status == 404


def drip(first: bytes, then: bytes) -> Callable[[socket.socket], None]:
    """A reply of which a piece comes every 50 ms, for two seconds."""

    def send(connection: socket.socket) -> None:
        connection.sendall(first)
        for _ in range(40):
            connection.sendall(then)
            time.sleep(0.05)

    return send


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b""),
    ],
    ids=["header", "body", "chunk", "continue", "silent"],
)
def test_a_slow_drip_ends_at_the_deadline(
    plain: Site, outgoing: Outgoing, first: bytes, then: bytes
) -> None:
    """The deadline is one for the whole request, however steadily bytes come."""
    plain.replies["/?code=canary"] = drip(first, then)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1: no whole answer within 0\.4 s"):
        outgoing.request("GET", at(plain, "/?code=canary"), timeout_seconds=0.4)
    assert 0.3 < time.monotonic() - began < 1.5


def test_a_hanging_handshake_ends_at_the_deadline(secure: Site) -> None:
    """The deadline holds in TLS too, and within the resolver."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="no whole answer"):
            Outgoing(timeout_seconds=0.4).request(
                "GET", f"https://127.0.0.1:{silent.getsockname()[1]}/"
            )
        assert time.monotonic() - began < 1.5


def test_a_hanging_resolver_ends_at_the_deadline(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is never resolved does not hold us longer than the deadline."""

    def hang(*_: Any, **__: Any) -> list[Any]:
        time.sleep(1)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no whole answer"):
        outgoing.request("GET", "https://acme.test/", timeout_seconds=0.3)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "answer",
    [
        reply("200 OK", b"x" * 1001),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024),
    ],
    ids=["sized", "announced", "unsized", "chunked"],
)
def test_a_huge_answer_is_cut_off(plain: Site, outgoing: Outgoing, answer: Any) -> None:
    """An answer above the limit is not taken, however its size is told; one at the limit is."""
    plain.replies |= {"/": answer, "/fits": reply("200 OK", b"x" * 1000)}
    with pytest.raises(Unreachable, match="larger than 1000 bytes"):
        outgoing.request("GET", at(plain), max_answer_bytes=1000)
    assert len(outgoing.request("GET", at(plain, "/fits"), max_answer_bytes=1000).body) == 1000


def test_a_compressed_answer_is_not_taken(plain: Site, outgoing: Outgoing) -> None:
    """No gzip bomb is ever unpacked."""
    plain.replies["/"] = reply("200 OK", gzip.compress(b"x" * 9999), "Content-Encoding: gzip")
    with pytest.raises(Unreachable, match="compressed"):
        outgoing.request("GET", at(plain))


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"SSH-2.0-canary\r\n\r\n"],
)
def test_half_an_answer_is_none(plain: Site, outgoing: Outgoing, answer: bytes) -> None:
    """An answer that is cut off, or that is not HTTP, is Unreachable, without being quoted."""
    plain.replies["/?code=canary"] = answer
    with pytest.raises(Unreachable, match=r"^127\.0\.0\.1: ") as caught:
        outgoing.request("GET", at(plain, "/?code=canary"))
    assert "canary" not in str(caught.value)


def test_a_refused_connection_is_unreachable(outgoing: Outgoing) -> None:
    """Where nobody listens, and where no such name is, the message tells host and cause."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1: connection failed: Connection refused"):
        outgoing.request("GET", f"http://127.0.0.1:{port}/?code=canary")
    with pytest.raises(Unreachable, match=r"nowhere\.invalid: "):
        outgoing.request("GET", "https://nowhere.invalid/")


def test_a_header_cannot_carry_another(plain: Site, outgoing: Outgoing) -> None:
    """A line break in a header's value sends nothing, and the message does not quote it."""
    with pytest.raises(Unreachable, match="not valid HTTP") as caught:
        outgoing.request("GET", at(plain), headers={"X-Mine": "a\r\nX-Canary: canary"})
    assert "canary" not in str(caught.value)
    assert plain.requests == []


def test_nothing_is_logged(
    plain: Site, outgoing: Outgoing, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at DEBUG is anything of a call logged."""
    caplog.set_level(logging.DEBUG)
    plain.replies["/?code=canary"] = reply("200 OK", b"canary", "X-Secret: canary")
    outgoing.request("GET", at(plain, "/?code=canary"), headers={"Authorization": "canary"})
    assert caplog.records == []


def test_a_closed_client_makes_no_call(plain: Site, outgoing: Outgoing) -> None:
    """After `close` every call is Unreachable."""
    outgoing.close()
    with pytest.raises(Unreachable, match="closed"):
        outgoing.request("GET", at(plain))
    assert plain.requests == []
