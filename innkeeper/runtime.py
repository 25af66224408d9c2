"""Where running things meet: the sockets of the embedded servers, and lives that end together.

Every service asks it where the embedded servers listen and, when `up` has started it, ties its
life to that of `up`. Run as a program, it does so for one that is not ours (a Valkey server).
It imports the standard library only, and must not know what the servers hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

PARENT_VARIABLE = "INNKEEPER_PARENT"
# A socket's path may be 107 bytes long on Linux, 103 on macOS.
LONGEST_SOCKET_PATH = 100
_PR_SET_PDEATHSIG = 1


class UnsafeFolder(OSError):
    """The short folder for sockets is somebody else's, or others may enter it."""


def socket_path(data: Path, name: str) -> Path:
    """Where the embedded server `name` ("store" or "queue") of a data folder listens.

    Creates nothing. Raises UnsafeFolder if somebody else has made the folder that it lies in.
    """
    data = data.resolve()
    file_name = f"{name}.sock"
    beside = data / "run"
    if len(os.fsencode(beside / file_name)) <= LONGEST_SOCKET_PATH:
        return beside / file_name
    folder = Path(os.readlink(beside)) if beside.is_symlink() else _short_folder(data)
    with contextlib.suppress(FileNotFoundError):
        _refuse_unsafe(folder)
    return folder / file_name


def make_socket_path(data: Path, name: str) -> Path:
    """As `socket_path`, for the one who will listen there: its folder is made, mode 0700.

    Where the data folder lies too deep, `<data>/run` becomes a link to the short folder, so that
    a process with another environment (a cron job has no XDG_RUNTIME_DIR) finds it all the same.
    """
    data = data.resolve()
    beside = data / "run"
    if beside.is_symlink() and not beside.exists():
        beside.unlink()  # what it leads to went with a restart of the machine
    folder = socket_path(data, name).parent
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder == beside:
        folder.chmod(0o700)
    elif not beside.is_symlink():
        beside.symlink_to(folder)
    _refuse_unsafe(folder)
    return folder / f"{name}.sock"


def socket_url(data: Path, name: str) -> str:
    """The URL of that socket for a Redis client: "unix://" and the path, percent-encoded."""
    return "unix://" + quote(str(socket_path(data, name)))


def follow_parent() -> None:
    """End when the parent named by INNKEEPER_PARENT ends: by SIGTERM. Nothing, if it is not set.

    Comes first in every process that `up` starts. The variable is taken out of the environment,
    for a process that is started from here has another parent.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if parent:
        die_with_parent(signal.SIGTERM, parent=int(parent))


def die_with_parent(signal_number: int = signal.SIGKILL, *, parent: int) -> None:
    """Have this process sent `signal_number` when its parent (process id `parent`) ends.

    To be called in the child, right after a fork too. On Linux the kernel sends it, when the
    *thread* that started this process ends; elsewhere a thread of ours looks every second.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    else:
        watching = threading.Thread(
            target=_watch_parent, args=(signal_number, parent), name="parent", daemon=True
        )
        watching.start()
    # The parent may have ended before the kernel knew of our wish.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def _watch_parent(signal_number: int, parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal_number)


def _short_folder(data: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    name = f"innkeeper-{os.getuid()}-{digest}"
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        short = len(os.fsencode(f"{parent}/{name}/store.sock")) <= LONGEST_SOCKET_PATH
        if short and os.access(parent, os.W_OK):
            return Path(parent) / name
    return Path("/tmp") / name  # noqa: S108 - private by its mode, its owner is checked


def _refuse_unsafe(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UnsafeFolder(f"{folder} must be a folder of ours that nobody else may enter")


if __name__ == "__main__":
    # python runtime.py PROGRAM [ARGUMENT]…: becomes the program. The kernel's promise outlives it.
    follow_parent()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the caller names the program, no shell
