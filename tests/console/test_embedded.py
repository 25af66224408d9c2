"""The embedded servers: durable as asked, alone in their folder, never left behind by accident."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest

from innkeeper_console.embedded import EmbeddedServer
from innkeeper_console.processes import EndedEarly
from innkeeper_console.valkey import ask
from tests.processes import line_of, lives, mode_of, python, soon

STARTING = """
import sys, time
from pathlib import Path
from innkeeper_console.embedded import EmbeddedServer
server = EmbeddedServer(name="store", data=Path(sys.argv[1]))
server.start()
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started():
    """Starts servers and stops them after the test."""
    servers = []

    def start(data: Path, name: str = "store", **durability) -> EmbeddedServer:
        server = EmbeddedServer(name=name, data=data, **durability)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def socket_of(server: EmbeddedServer) -> Path:
    """Where it listens."""
    return Path(server.url.removeprefix("unix://"))


def pid_of(server: EmbeddedServer) -> int:
    """The server's process, as it says itself."""
    information = ask(socket_of(server), "INFO", "server")
    return int(information.partition("process_id:")[2].split()[0])


def setting(server: EmbeddedServer, name: str) -> str:
    """The value that CONFIG GET tells, read from the bare reply."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_of(server)))
        connection.sendall(f"CONFIG GET {name}\r\n".encode())
        # *2, $length, name, $length, value
        return connection.recv(4096).decode().split("\r\n")[4]


@pytest.mark.parametrize(
    ("durability", "appendonly", "appendfsync"),
    [("fsync", "yes", "always"), ("everysec", "yes", "everysec"), ("memory", "no", "always")],
)
def test_settings_are_in_force(tmp_path, started, durability, appendonly, appendfsync):
    """The server runs with what was asked for, throws nothing away and has no port."""
    server = started(tmp_path, durability=durability)
    names = ("appendonly", "appendfsync", "maxmemory-policy", "maxmemory", "save", "port")
    expected = [appendonly, appendfsync, "noeviction", "0", "", "0"]
    assert expected == [setting(server, name) for name in names]


def test_only_we_can_reach_it(tmp_path, started):
    """Folders and socket are closed to all others."""
    server = started(tmp_path / "data")
    closed = [tmp_path / "data", tmp_path / "data" / "store", tmp_path / "data" / "run"]
    assert [mode_of(path) for path in (*closed, socket_of(server))] == [0o700] * 4


def test_what_was_answered_survives_a_kill(tmp_path, started):
    """A value whose write was answered is there after the server was killed with -9."""
    server = started(tmp_path)
    assert ask(socket_of(server), "SET", "key", "value") == "OK"
    os.kill(pid_of(server), signal.SIGKILL)
    assert soon(lambda: not server.alive())
    assert "SIGKILL" in server.how_it_ended()
    server.start()
    assert ask(socket_of(server), "GET", "key") == "value"


def test_a_deep_data_folder_is_served(tmp_path, started, monkeypatch):
    """A data folder too deep for a socket makes no difference."""
    with tempfile.TemporaryDirectory(prefix="ik", dir="/tmp") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        server = started(tmp_path / ("a" * 60) / ("b" * 60))
        assert ask(socket_of(server), "PING") == "PONG"
        server.stop()


def test_a_running_server_is_taken_over(tmp_path, started):
    """A server that was left behind goes on under the next one, with the next one's settings."""
    left_behind = started(tmp_path, durability="everysec")
    taken_over = started(tmp_path, durability="fsync")
    assert pid_of(left_behind) == pid_of(taken_over)
    assert setting(taken_over, "appendfsync") == "always"
    taken_over.stop()
    assert not taken_over.alive()
    assert not left_behind.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server stays, to be taken over")
def test_a_server_ends_with_its_killed_starter(tmp_path, started):
    """Whoever is killed with -9 leaves a server that shuts itself down."""
    server = EmbeddedServer(name="store", data=tmp_path)
    with python(STARTING, tmp_path) as starter:
        assert line_of(starter) == "started"
        pid = pid_of(server)
        starter.kill()
    assert soon(lambda: not lives(pid))


def test_one_that_is_shutting_down_is_waited_for(tmp_path, started):
    """A start right after the last starter was killed ends with one server, and all its data."""
    with python(STARTING, tmp_path) as starter:
        assert line_of(starter) == "started"
        ask(tmp_path / "run" / "store.sock", "SET", "key", "value")
        starter.kill()
    server = started(tmp_path)
    time.sleep(0.5)
    assert server.alive()
    assert ask(socket_of(server), "GET", "key") == "value"


def test_stale_files_are_no_obstacle(tmp_path, started):
    """A socket that nobody listens on and the number of a process that is not ours are ignored."""
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "run" / "store.sock"))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "server.pid").write_text("1\n")
    server = started(tmp_path)
    assert f"{pid_of(server)}\n" == (tmp_path / "store" / "server.pid").read_text()


def test_a_failed_start_shows_the_log(tmp_path, started):
    """A server that cannot read its data ends the start with its own last words."""
    folder = tmp_path / "store" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(EndedEarly, match=r"store: ended with exit code 1(.|\n)*AOF manifest"):
        started(tmp_path)


def test_the_terminal_does_not_reach_it(tmp_path, started):
    """Ctrl-C in the terminal is not for the server: it has a session of its own."""
    pid = pid_of(started(tmp_path))
    assert pid == os.getsid(pid)


def test_no_secret_is_in_its_environment(tmp_path, started, monkeypatch):
    """The server is told none of our secrets."""
    monkeypatch.setenv("ANY_PASSWORD", "canary-in-the-environment")
    environment = Path(f"/proc/{pid_of(started(tmp_path))}/environ")
    if not environment.exists():
        pytest.skip("no /proc here")
    assert b"canary" not in environment.read_bytes()


def test_stopping_twice_is_harmless(tmp_path, started):
    """A server that has been stopped can be stopped again, and has taken its socket with it."""
    server = started(tmp_path, name="queue", durability="memory")
    server.stop()
    server.stop()
    assert not socket_of(server).exists()
