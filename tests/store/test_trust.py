"""What makes a store trusted, on servers that have it and servers that have not."""

from __future__ import annotations

import contextlib
import os
import resource
import socketserver
import sys
import threading
from collections.abc import Iterator

import pytest

from innkeeper.config.sections import Durability
from innkeeper.store.connection import Store
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.trust import Finding, inspect, refusal
from tests.processes import soon
from tests.store.servers import Server, server

DURABILITIES: tuple[Durability, ...] = ("fsync", "everysec", "memory")
GOOD = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "save": "",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """A server whose settings the tests change."""
    with server() as own:
        yield own


@pytest.fixture
def own(running: Server) -> Iterator[Store]:
    """A store that keeps what it is given."""
    with contextlib.closing(Store(running.url)) as store:
        store.batch([("CONFIG", "SET", name, value) for name, value in GOOD.items()])
        yield store


def found(store: Store, name: str, durability: Durability = "fsync") -> Finding:
    """What is said of one thing."""
    return next(one for one in inspect(store, durability) if one.name == name)


def wrong(store: Store, durability: Durability) -> list[str]:
    """The names of all that is wrong."""
    return [one.name for one in inspect(store, durability) if one.verdict == "wrong"]


@pytest.mark.parametrize("durability", DURABILITIES)
def test_what_the_embedded_store_has_is_fine(own: Store, durability: Durability):
    """Nothing is wrong, unknown or close to its bounds, whatever is accepted."""
    findings = inspect(own, durability)
    assert {one.verdict for one in findings} == {"fine"}
    assert refusal(findings) is None


@pytest.mark.parametrize(
    ("setting", "value", "refused_by", "name"),
    [
        ("appendonly", "no", ("fsync", "everysec"), "append-only file"),
        ("appendfsync", "everysec", ("fsync",), "fsync"),
        ("appendfsync", "no", ("fsync", "everysec"), "fsync"),
        ("no-appendfsync-on-rewrite", "yes", ("fsync", "everysec"), "fsync during a rewrite"),
        ("maxmemory-policy", "allkeys-lru", DURABILITIES, "eviction"),
        ("maxmemory-policy", "volatile-ttl", DURABILITIES, "eviction"),
    ],
)
def test_a_setting_is_judged_by_what_is_accepted(
    own: Store, setting: str, value: str, refused_by: tuple[str, ...], name: str
):
    """It is wrong where it loses more than `durability` allows; the reason names the setting."""
    own.command("CONFIG", "SET", setting, value)
    assert {d: wrong(own, d) for d in DURABILITIES} == {
        d: [name] if d in refused_by else [] for d in DURABILITIES
    }
    for durability in refused_by:
        assert setting in (refusal(inspect(own, durability)) or "")  # type: ignore[arg-type]


def test_all_that_is_wrong_is_told_at_once(own: Store):
    """Whoever mends the server needs to look only once."""
    own.command("CONFIG", "SET", "appendonly", "no")
    own.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    reason = refusal(inspect(own, "fsync")) or ""
    assert "appendonly yes" in reason
    assert "noeviction" in reason


def test_a_replica_is_refused():
    """It takes no writes."""
    with server(replicaof="127.0.0.1 1") as own, contextlib.closing(Store(own.url)) as store:
        assert found(store, "role").value == "replica"
        assert wrong(store, "memory") == ["role"]


def test_little_memory_is_a_warning(own: Store):
    """From three quarters of maxmemory on; what is full is for the spool, and no refusal."""
    used = own.command("INFO", "memory")["used_memory"]
    own.command("CONFIG", "SET", "maxmemory", used * 2)
    assert found(own, "memory").verdict == "fine"
    own.command("CONFIG", "SET", "maxmemory", int(used * 1.3))
    assert found(own, "memory").verdict == "warning"
    assert refusal(inspect(own, "fsync")) is None


def test_the_disk_of_a_store_on_this_host_is_seen(own: Store):
    """The free room is told, and a folder that only the server sees is left alone."""
    assert found(own, "disk").verdict == "fine"
    own.command("CONFIG", "SET", "appendonly", "no")
    assert "disk" not in [one.name for one in inspect(own, "memory")]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process: Linux only")
def test_a_full_disk_is_told_and_may_pass():
    """A file that cannot grow: writes are refused, and said so; once it can grow, all is fine."""
    with server(appendfsync="everysec") as own, contextlib.closing(Store(own.url)) as store:
        limit_files(own, 1 << 16)
        store.command("SET", "key", b"x" * (1 << 17))
        assert soon(lambda: wrong(store, "everysec") != [], 5)
        with pytest.raises(StoreError, match="MISCONF"):
            store.command("SET", "key", b"")
        (finding,) = [one for one in inspect(store, "everysec") if one.verdict == "wrong"]
        assert (finding.name, finding.passing) == ("writes", True)
        limit_files(own, resource.RLIM_INFINITY)
        assert soon(lambda: wrong(store, "everysec") == [], 5)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process: Linux only")
def test_a_failed_snapshot_is_told():
    """Where the server then refuses writes it is wrong; without snapshots nobody cares."""
    with server(save="3600 1") as own, contextlib.closing(Store(own.url)) as store:
        store.command("SET", "key", os.urandom(1 << 16))
        limit_files(own, 1 << 10)
        store.command("BGSAVE")
        assert soon(lambda: wrong(store, "fsync") == ["writes"], 5)
        assert "snapshot" in found(store, "writes").said
        limit_files(own, resource.RLIM_INFINITY)
        store.command("CONFIG", "SET", "save", "")
        assert wrong(store, "fsync") == []


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process: Linux only")
def test_a_failed_rewrite_is_a_warning():
    """The file grows, and nothing is lost yet."""
    with server() as own, contextlib.closing(Store(own.url)) as store:
        store.command("SET", "key", os.urandom(1 << 16))
        limit_files(own, 1 << 10)
        store.command("BGREWRITEAOF")
        assert soon(lambda: found(store, "last rewrite").verdict == "warning", 5)
        assert wrong(store, "fsync") == []


def test_hidden_settings_are_unchecked(running: Server, own: Store):
    """Without CONFIG, INFO tells what it can; the rest is to be asked for, and refuses nothing."""
    with allowed(running, own, "-config") as store:
        verdicts = {one.name: one.verdict for one in inspect(store, "fsync")}
        unchecked = [name for name, verdict in verdicts.items() if verdict == "unchecked"]
        assert unchecked == ["fsync", "fsync during a rewrite"]
        assert "appendfsync is always" in found(store, "fsync").said
        assert refusal(inspect(store, "fsync")) is None
        own.command("CONFIG", "SET", "appendonly", "no")
        own.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        assert wrong(store, "fsync") == ["append-only file", "eviction"]


def test_a_server_that_hides_everything_is_not_refused(running: Server, own: Store):
    """Neither CONFIG nor INFO: nothing can be said, so nothing is wrong."""
    with allowed(running, own, "-config", "-info") as store:
        findings = inspect(store, "fsync")
        assert {one.verdict for one in findings} == {"unchecked"}
        assert all(one.value is None for one in findings)


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ("redis_version:6.2.14", "wrong"),
        ("redis_version:7.0.15", "fine"),
        ("redis_version:10.1.0", "fine"),
        ("redis_version:7.2.4\r\nvalkey_version:7.2.5", "fine"),
        ("redis_version:7.2.4\r\nvalkey_version:7.1.0", "wrong"),
        ("redis_version:unstable", "unchecked"),
        ("redis_mode:standalone", "unchecked"),
    ],
)
def test_versions(told: str, verdict: str):
    """Too old for our scripts is wrong, whatever else is hidden."""
    with managed(told) as url, contextlib.closing(Store(url)) as store:
        assert found(store, "version").verdict == verdict
        assert wrong(store, "fsync") == (["version"] if verdict == "wrong" else [])


def test_a_store_that_is_away_is_not_judged(running: Server):
    """No answer is no finding."""
    store = Store(f"{running.url}-nowhere")
    with contextlib.closing(store), pytest.raises(StoreUnavailable):
        inspect(store, "fsync")


def limit_files(own: Server, size: int) -> None:
    """How large a file of the server may become: as a full disk, without filling one."""
    resource.prlimit(own.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def allowed(running: Server, own: Store, *less: str) -> Iterator[Store]:
    """The store as a user that may do less sees it."""
    own.command("ACL", "SETUSER", "guest", "reset", "on", ">word", "~*", "+@all", *less)
    url = running.url.replace("unix://", "unix://guest:word@")
    with contextlib.closing(Store(url)) as store:
        yield store


class _Managed(socketserver.StreamRequestHandler):
    """A managed server: INFO as given, CONFIG unknown."""

    info = ""

    def handle(self) -> None:
        while count := self.rfile.readline():
            words = [self._word() for _ in range(int(count[1:]))]
            if words[0] == b"INFO":
                text = f"# Server\r\n{self.info}\r\n".encode()
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(text), text))
            elif words[0] == b"CLIENT":
                self.wfile.write(b"+OK\r\n")
            else:
                self.wfile.write(b"-ERR unknown command '%s'\r\n" % words[0])

    def _word(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


@contextlib.contextmanager
def managed(info: str) -> Iterator[str]:
    """A server that is not to be had as a wheel; its URL."""
    handler = type("Handler", (_Managed,), {"info": info})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        # The older protocol: without the HELLO of the newer one.
        yield f"redis://127.0.0.1:{listening.server_address[1]}?protocol=2"
        listening.shutdown()
