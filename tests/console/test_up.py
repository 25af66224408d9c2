"""`up` as a whole, with a stand-in for the services' program, which is not what is tested here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from innkeeper_console.valkey import ask
from tests.processes import free_port, lives, python, soon

UP = """
import os, sys
from innkeeper.config import load_config
from innkeeper_console.up import run_up
config = load_config(None, os.environ, generate=True)
sys.exit(run_up(config, config_path=None, echo=lambda line: print(line, flush=True)))
"""

# Answers 200 to everything where its service is bound; the worker only stays.
PROGRAM = """
import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from innkeeper.runtime import follow_parent
follow_parent()
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
name = sys.argv[1]
class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
os.write(1, " ".join(["arguments", str(os.getpid()), *sys.argv[1:], "\\n"]).encode())
if name == "worker":
    time.sleep(60)
host, port = os.environ[f"INNKEEPER_{name.upper()}_BIND"].split(":")
HTTPServer((host, int(port)), Answering).serve_forever()
"""


class Inn:
    """A working directory with a Python beside which our stand-in is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".innkeeper"
        self.ports = {"receiver": free_port(), "console": free_port()}
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)
        program = folder / "bin" / "innkeeper"
        program.write_text(f"#!{folder}/bin/python\n{PROGRAM}")
        program.chmod(stat.S_IRWXU)
        self.running = contextlib.ExitStack()

    def up(self, **environment: str) -> subprocess.Popen[str]:
        """Start `up` in the folder."""
        binds = {
            f"INNKEEPER_{name.upper()}_BIND": f"127.0.0.1:{port}"
            for name, port in self.ports.items()
        }
        executable = str(self.folder / "bin" / "python")
        started = python(UP, executable=executable, cwd=self.folder, **binds, **environment)
        process = self.running.enter_context(started)
        self.running.callback(process.wait, 30)
        self.running.callback(process.terminate)
        return process

    def until_up(self, process: subprocess.Popen[str]) -> str:
        """All it prints up to the last line of a start."""
        assert process.stdout is not None
        printed = ""
        while not printed.endswith("Ctrl-C stops all of it.\n"):
            line = process.stdout.readline()
            assert line, f"ended early: {printed}"
            printed += line
        return printed


@pytest.fixture
def inn(tmp_path):
    """A folder in which `up` can be started; what runs is ended after the test."""
    inn = Inn(tmp_path)
    with inn.running:
        yield inn


def children_of(printed: str) -> dict[str, int]:
    """The services' process ids."""
    lines = [line.split() for line in printed.splitlines() if line.startswith("arguments")]
    return {line[2]: int(line[1]) for line in lines}


def server_pids(inn: Inn) -> list[int]:
    """The embedded servers' process ids."""
    return [int((inn.data / name / "server.pid").read_text()) for name in ("store", "queue")]


def test_a_start_says_where_everything_is(inn):
    """A first start is quick and says where to post, where to look and what is kept where."""
    started_at = time.monotonic()
    printed = inn.until_up(inn.up())
    assert time.monotonic() - started_at < 5
    for expected in (
        f"http://127.0.0.1:{inn.ports['receiver']}",
        f"http://127.0.0.1:{inn.ports['console']}",
        f"{inn.data}/secret-keys",
        f"{inn.data}/api-token",
        "cp innkeeper.example.toml innkeeper.toml",
    ):
        assert expected in printed
    assert (inn.data / "api-token").read_text().strip() not in printed
    assert f"receiver --data {inn.data} \n" in printed


def test_each_apps_hook_is_told(inn):
    """With a configuration, every app's URL is printed, below the public one where there is one."""
    (inn.folder / "innkeeper.toml").write_text(
        '[receiver]\npublic_url = "https://hooks.acme.example"\n'
        '[[apps]]\nplatform = "rebilly"\nreference = "app_1"\n'
        'credentials = {type = "basic", username = "u", password_env = "P"}\n'
    )
    printed = inn.until_up(inn.up(P="a-password-of-some-length"))
    assert "https://hooks.acme.example/hooks/rebilly/app_1\n" in printed
    assert f"worker --data {inn.data} --config {inn.folder}/innkeeper.toml \n" in printed


def test_a_signal_stops_it_all(inn):
    """Two signals at once stop everything, with exit code 0, and nothing is left."""
    process = inn.up()
    running = [*children_of(inn.until_up(process)).values(), *server_pids(inn)]
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not any(lives(pid) for pid in running)


def test_a_signal_during_the_start_stops_it_too(inn):
    """Whoever stops it before it is ready leaves nothing running either."""
    process = inn.up()
    assert soon((inn.data / "store" / "server.pid").exists)
    process.terminate()
    assert process.wait(10) == 0
    assert soon(lambda: not any(lives(pid) for pid in server_pids(inn)))


def test_a_killed_server_is_started_again(inn):
    """The store is restarted like any service, and has kept what it answered for."""
    inn.until_up(inn.up())
    path = inn.data / "run" / "store.sock"
    assert ask(path, "SET", "key", "value") == "OK"
    os.kill(server_pids(inn)[0], signal.SIGKILL)
    assert soon(lambda: ask(path, "GET", "key") == "value")


def test_a_second_one_is_refused(inn):
    """A second `up` in the same data folder says who holds it, and the first goes on."""
    first = inn.up()
    inn.until_up(first)
    second = inn.up()
    printed = second.communicate(timeout=10)[0]
    assert second.returncode == 1
    assert f"process {first.pid}" in printed
    assert ask(inn.data / "run" / "store.sock", "PING") == "PONG"


def test_a_taken_port_is_told(inn):
    """A port in use is named; nothing has been started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", inn.ports["console"]))
        taken.listen()
        process = inn.up()
        printed = process.communicate(timeout=10)[0]
    assert process.returncode == 1
    assert f"console: cannot listen on 127.0.0.1:{inn.ports['console']}" in printed
    assert not (inn.data / "store" / "server.pid").exists()


def test_killed_with_minus_nine_it_can_start_again(inn):
    """A killed `up` leaves no service, and the next one starts at once on the same store."""
    process = inn.up()
    running = children_of(inn.until_up(process))
    assert ask(inn.data / "run" / "store.sock", "SET", "key", "value") == "OK"
    process.kill()
    process.wait()
    inn.until_up(inn.up())
    assert not any(lives(pid) for pid in running.values())
    assert ask(inn.data / "run" / "store.sock", "GET", "key") == "value"
