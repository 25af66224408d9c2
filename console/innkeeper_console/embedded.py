"""The embedded Valkey servers: the store, and the queue server beside it.

`up` starts and stops them. A server's life hangs on three things: a lock on its pid file, which
it inherits and the kernel drops with its last breath; its own session, which Ctrl-C does not
reach; and a promise of the kernel (Linux) to send it SIGTERM when `up` is gone.
It must not know what is stored in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from innkeeper import runtime
from innkeeper.config.sections import Durability
from innkeeper_console.processes import EndedEarly, end_process, how_a_process_ended
from innkeeper_console.valkey import ask, changeable_settings, server_arguments, server_binary

# The store ends within moments; the longest is one last fsync on a slow disk.
_STOP_SECONDS = 30.0
# A server that was sent SIGTERM looks at it ten times a second, and answers until then.
_SETTLED_SECONDS = 0.3
_SILENCE_SECONDS = 30.0
_LOG_BYTES = 1 << 20
# Nothing that is secret: the server's environment can be read in the list of processes.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


class EmbeddedServer:
    """A Valkey server ("store" or "queue") in a folder of the data folder, socket only.

    `durability` as in [store]: "fsync" answers after the fsync, "everysec" may lose two seconds
    in a power cut, "memory" keeps no file. One that an earlier `up` left behind is taken over.
    """

    def __init__(self, *, name: str, data: Path, durability: Durability = "fsync") -> None:
        self.name = name
        self._data = data
        self._folder = data.resolve() / name
        self._socket = runtime.socket_path(data, name)
        self._durability = durability
        self._process: subprocess.Popen[bytes] | None = None
        self._heard_at = 0.0
        self._settling_since: float | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return runtime.socket_url(self._data, self.name)

    def start(self) -> None:
        """`launch`, then wait until it answers and has loaded its data, however long that takes.

        Raises NoServer or EndedEarly, with the last lines of the server's log.
        """
        self.launch()
        while not self.ready():
            time.sleep(0.01)

    def launch(self) -> None:
        """Start the server, or find the one that is still running. Does not wait."""
        self._process = None
        self._settling_since = None
        self._heard_at = time.monotonic()
        self._socket = runtime.make_socket_path(self._data, self.name)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        lock = self._free_lock()
        if lock is None:
            return
        try:
            self._spawn(lock)
        finally:
            os.close(lock)  # from here on the server alone holds it

    def alive(self) -> bool:
        """Whether the server's process lives, ours or the one that was found."""
        if self._process is not None:
            return self._process.poll() is None
        lock = self._free_lock()
        if lock is not None:
            os.close(lock)
        return lock is None

    def ready(self) -> bool:
        """Whether it answers and has loaded its data. To be asked until it says so.

        Raises EndedEarly if it has ended, or says nothing for half a minute.
        """
        if not self.alive():
            if self._process is not None:
                raise EndedEarly(f"{self.how_it_ended()}\n{self._last_log_lines()}")
            self.launch()  # the one that was found was shutting down
            return False
        reply = ask(self._socket, "PING")
        if reply:
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at > _SILENCE_SECONDS:
            raise EndedEarly(f"{self.name}: does not answer\n{self._last_log_lines()}")
        return reply == "PONG" and (self._process is not None or self._taken_over())

    def how_it_ended(self) -> str:
        """For people: the server's name and how its process ended."""
        how = how_a_process_ended(self._process) if self._process is not None else "ended"
        return f"{self.name}: {how}; its log is {self._folder / 'server.log'}"

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that is still there after half a minute. May be repeated."""
        if self._process is not None:
            end_process(self._process, within_seconds=_STOP_SECONDS)
        elif (pid := self._found_pid()) is not None:
            self._end_found(pid)
        with contextlib.suppress(OSError):
            self._socket.unlink(missing_ok=True)
            self._socket.parent.resolve().rmdir()  # it is empty once the last server has ended

    def _spawn(self, lock: int) -> None:
        self._socket.unlink(missing_ok=True)  # nobody listens: the lock was free
        # The promise of the kernel is asked for by a wrapper, which then becomes the server.
        wrapper = [sys.executable, "-I", "-S", runtime.__file__]
        server = [str(server_binary()), *server_arguments(self._socket, self._durability)]
        log = self._folder / "server.log"
        grown = log.exists() and log.stat().st_size > _LOG_BYTES
        with log.open("wb" if grown else "ab") as output:
            self._process = subprocess.Popen(
                [*wrapper, *server],
                cwd=self._folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{self._process.pid}\n".encode(), 0)

    def _free_lock(self) -> int | None:
        """The locked pid file, or None while a server's process holds it."""
        lock = os.open(self._folder / "server.pid", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _taken_over(self) -> bool:
        """Whether a found server is here to stay; then it is given our settings."""
        if self._settling_since is None:
            self._settling_since = time.monotonic()
        if time.monotonic() - self._settling_since < _SETTLED_SECONDS:
            return False
        for name, value in changeable_settings(self._durability).items():
            ask(self._socket, "CONFIG", "SET", name, value)
        return True

    def _found_pid(self) -> int | None:
        # Told by the server itself: a number in a file may by now be another process.
        for line in ask(self._socket, "INFO", "server").splitlines():
            if line.startswith("process_id:"):
                return int(line.partition(":")[2])
        return None

    def _end_found(self, pid: int) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            give_up_at = time.monotonic() + _STOP_SECONDS
            while self.alive() and time.monotonic() < give_up_at:
                time.sleep(0.02)
            if not self.alive():
                return

    def _last_log_lines(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            lines = (self._folder / "server.log").read_text(errors="replace").splitlines()
            return "\n".join(f"  {line}" for line in lines[-10:])
        return ""


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, runtime.PARENT_VARIABLE: str(os.getpid())}
