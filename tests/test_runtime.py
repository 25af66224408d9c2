"""Sockets are found from everywhere, and children end with their parents."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from innkeeper import runtime
from tests.processes import line_of, lives, mode_of, python, soon

FOLLOWING = """
import os, time
from innkeeper import runtime
runtime.follow_parent()
print(os.getpid(), os.environ.get("INNKEEPER_PARENT"), flush=True)
time.sleep(60)
"""

STARTING_ONE = f"""
import os, subprocess, sys, time
environment = dict(os.environ, INNKEEPER_PARENT=str(os.getpid()))
subprocess.Popen([sys.executable, "-c", {FOLLOWING!r}], env=environment)
time.sleep(60)
"""

FORKING = """
import os, time
from innkeeper import runtime
parent = os.getpid()
if os.fork() == 0:
    runtime.die_with_parent(parent=parent)
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def short(monkeypatch):
    """A folder for temporary things whose name is short."""
    with tempfile.TemporaryDirectory(prefix="ik", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield folder


@pytest.fixture
def deep(tmp_path: Path, short) -> Path:
    """A data folder too deep for a socket in it."""
    data = tmp_path / ("a" * 60) / ("b" * 60)
    data.mkdir(parents=True)
    return data


def test_sockets_lie_in_the_data_folder(tmp_path):
    """A data folder holds its own sockets, at an absolute path."""
    assert tmp_path.resolve() / "run" / "queue.sock" == runtime.socket_path(tmp_path, "queue")


def test_url_is_percent_encoded(tmp_path):
    """Characters that mean something in a URL are taken for what they are in a path."""
    data = tmp_path / "a b#c%"
    expected = f"unix://{tmp_path.resolve()}/a%20b%23c%25/run/store.sock"
    assert expected == runtime.socket_url(data, "store")


def test_a_deep_data_folder_gets_a_short_private_folder(deep, short):
    """However deep the data folder lies, a socket can be bound, in a folder that is ours alone."""
    path = runtime.make_socket_path(deep, "store")
    assert short in str(path)
    assert len(os.fsencode(path)) <= runtime.LONGEST_SOCKET_PATH
    assert mode_of(path.parent) == 0o700
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def test_the_short_folder_is_found_with_another_environment(deep, monkeypatch):
    """A process that has another folder for temporary things finds the same socket."""
    path = runtime.make_socket_path(deep, "store")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert path == runtime.socket_path(deep, "store")


def test_a_link_to_a_lost_folder_is_made_anew(deep):
    """When the short folder went with a restart of the machine, the next start makes another."""
    runtime.make_socket_path(deep, "store").parent.rmdir()
    assert runtime.make_socket_path(deep, "store").parent.is_dir()


def test_a_folder_that_others_may_enter_is_refused(deep):
    """Nobody can lay a socket of his own in our way."""
    runtime.make_socket_path(deep, "store").parent.chmod(0o755)
    with pytest.raises(runtime.UnsafeFolder):
        runtime.socket_path(deep, "store")


def test_a_child_ends_with_its_killed_parent():
    """A parent that is killed with -9 takes with it whoever follows it."""
    with python(STARTING_ONE) as parent:
        child, variable = line_of(parent).split()
        assert variable == "None", "the variable is taken out of the environment"
        assert lives(int(child))
        parent.kill()
    assert soon(lambda: not lives(int(child)))


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    """A parent that ends before its child has asked to follow it is noticed all the same."""
    with python(FOLLOWING, INNKEEPER_PARENT="1") as child:
        assert child.wait(10) == -signal.SIGTERM


def test_without_a_parent_nothing_is_followed():
    """A service that was started alone lives on its own."""
    with python(FOLLOWING) as alone:
        assert line_of(alone)
        with pytest.raises(subprocess.TimeoutExpired):
            alone.wait(0.3)
        alone.kill()


def test_a_forked_child_dies_with_its_parent():
    """A child made by a fork is killed when its parent is."""
    with python(FORKING) as parent:
        child = int(line_of(parent))
        parent.kill()
    assert soon(lambda: not lives(child))
