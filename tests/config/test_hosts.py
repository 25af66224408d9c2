"""Addresses and URLs: which forms are taken, and which may go unencrypted."""

from __future__ import annotations

import pytest

from innkeeper.config import Bind
from innkeeper.config.hosts import allowed_host, base_url, bind, host_name, network, store_url, url


@pytest.mark.parametrize("stated", ["127.0.0.1:8000", "[::1]:8000", "localhost:1", "0.0.0.0:65535"])
def test_a_bind_is_written_as_it_is_read(stated: str) -> None:
    """Host and port survive reading and writing."""
    assert stated == str(bind(stated))


@pytest.mark.parametrize("stated", ["", "8000", "host", "host:0", "host:65536", "::1:80", "a b:1"])
def test_what_is_no_bind_is_refused(stated: str) -> None:
    """A bind needs a host and a port in range."""
    with pytest.raises(ValueError, match=r"host|port|empty"):
        bind(stated)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.8.9.1", True), ("::1", True), ("LocalHost", True), ("10.0.0.1", False), ("h", False)],
)
def test_loopback_is_told(host: str, expected: bool) -> None:
    """Only addresses that this machine alone reaches are loopback."""
    assert Bind(host=host, port=1).is_loopback is expected


def test_hosts_are_lower_case_and_networks_whole() -> None:
    """Names are compared in lower case; an address is a network of one."""
    assert host_name("Xurrent.COM") == "xurrent.com"
    assert allowed_host("Store.Internal:81") == "store.internal:81"
    assert network("10.1.2.3") == "10.1.2.3/32"
    with pytest.raises(ValueError, match="host bits"):
        network("10.0.0.1/8")


@pytest.mark.parametrize(
    "stated",
    [
        "https://a.example",
        "http://127.0.0.9:80/x",
        "http://[::1]/",
        "http://in.example/?q=1",
        "http://two.example:81/",
    ],
)
def test_urls_that_may_be_called(stated: str) -> None:
    """https everywhere, http to loopback and to the hosts that the operator allows."""
    assert stated == url(stated, ("in.example", "two.example:81"))


@pytest.mark.parametrize(
    "stated",
    [
        "a.example",
        "ftp://a.example",
        "http://a.example",
        "http://two.example/",
        "https://",
        "https://u:hunter2@a.example",
        "https://a.example/#hunter2",
        "https://a.example:x/hunter2",
        "https://a example/hunter2",
        "http://localhost.a.example/",
        "http://127.0.0.1.a.example/",
    ],
)
def test_other_urls_are_refused_without_being_quoted(stated: str) -> None:
    """Anything else is refused, and a message never repeats what may be a password."""
    with pytest.raises(ValueError, match=r".") as raised:
        url(stated, ("two.example:81",))
    assert "hunter2" not in str(raised.value)


def test_a_base_url_has_no_query_and_no_slash_at_its_end() -> None:
    """Paths can be put behind it."""
    assert base_url("https://a.example/v1/", ()) == "https://a.example/v1"
    with pytest.raises(ValueError, match="query"):
        base_url("https://a.example/v1?x", ())


@pytest.mark.parametrize("stated", ["redis://u:p@h:1/0", "rediss://h", "unix:///run/store.sock"])
def test_store_urls_may_hold_a_password(stated: str) -> None:
    """The store's URL is taken with its credentials."""
    assert stated == store_url(stated)


@pytest.mark.parametrize("stated", ["http://h", "redis://", "redis:", "unix://", "h:6379"])
def test_other_store_urls_are_refused(stated: str) -> None:
    """A store's URL has a scheme that we speak, and a host or a path."""
    with pytest.raises(ValueError, match="URL"):
        store_url(stated)
