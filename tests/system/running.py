"""An `innkeeper up` of a test's own: started, asked over HTTP and the command line, and ended.

Knows what the contract tells of the outside and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.processes import free_port, soon
from tests.system.speaking import Answer, ask

PROGRAM = Path(sys.executable).with_name("innkeeper")
VENDOR = Path(__file__).parent / "vendor"
READY = "Ctrl-C stops all of it."
_OURS = ("INNKEEPER_", "REDIS_URL", "MAKE", "MFLAGS")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that it printed."""
        return json.loads(self.out)


class Process(NamedTuple):
    """A line of the process table."""

    pid: int
    arguments: str


class Inn:
    """A working directory, two free ports, and the `up` that is started there."""

    def __init__(self, configuration: str | None = None, **environment: str) -> None:
        # Short, for the sockets of the embedded servers lie in it.
        self.folder = Path(tempfile.mkdtemp(prefix="ik-")).resolve()
        self.data = self.folder / ".innkeeper"
        self.log = self.folder / "up.log"
        self.log.touch()
        self.ports = {"receiver": free_port(), "console": free_port()}
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        if configuration is not None:
            self.configure(configuration)

    def configure(self, configuration: str) -> None:
        """Write the configuration; it counts from the next start on."""
        (self.folder / "innkeeper.toml").write_text(configuration)

    def start(self, command: tuple[str, ...] = (), cwd: Path | None = None) -> float:
        """Start `up` and wait until it says that it is ready; how many seconds that took."""
        begins = self.log.stat().st_size
        started = time.monotonic()
        process = self.launch(command, cwd)
        while READY.encode() not in self.log.read_bytes()[begins:]:
            assert process.poll() is None, f"ended early: {self.log.read_text()}"
            assert time.monotonic() < started + 30, f"not ready: {self.log.read_text()}"
            time.sleep(0.02)
        return time.monotonic() - started

    def launch(
        self, command: tuple[str, ...] = (), cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start `up`, whose output goes to the log, and do not wait."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command or (str(PROGRAM), "up"),
                cwd=cwd or self.folder,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(40)

    def kill(self) -> None:
        """SIGKILL to `up` itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever happened, nothing of it runs or lies about any more."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            self.kill()
        soon(lambda: _killed(self.processes()) == 0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def variables(self) -> dict[str, str]:
        """The environment of `up` and of every command."""
        kept = {name: v for name, v in os.environ.items() if not name.startswith(_OURS)}
        binds = {
            f"INNKEEPER_{name.upper()}_BIND": f"127.0.0.1:{port}"
            for name, port in self.ports.items()
        }
        return {**kept, **binds, "PYTHONPATH": str(VENDOR), **self.environment}

    def processes(self, containing: str = "") -> list[Process]:
        """All that runs with our data folder in its command line, and has not ended."""
        table = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,stat=,args="],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        rows = [line.split(None, 2) for line in table.splitlines()]
        return [
            Process(int(row[0]), row[2])
            for row in rows
            if len(row) == 3
            and f"{self.data}" in row[2]
            and containing in row[2]
            and not row[1].startswith("Z")
        ]

    def kill_service(self, name: str) -> int:
        """SIGKILL to every process of a service; how many there were."""
        return _killed(self.processes(f"innkeeper {name} "))

    def cli(self, *arguments: object) -> Ended:
        """Run a command in the working directory."""
        done = subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            cwd=self.folder, env=self.variables(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def told(self, *arguments: object) -> Any:
        """The document that a command prints, which has to be fine."""
        ended = self.cli(*arguments, "--json")
        assert ended.code == 0, ended
        return ended.document

    def hook(self, path: str, body: bytes, **headers: str) -> Answer:
        """Post a delivery, as a marketplace does."""
        return ask("POST", self.url_of_hook(path), body=body, headers=headers)

    def url_of_hook(self, path: str) -> str:
        """Where deliveries go."""
        return f"http://127.0.0.1:{self.ports['receiver']}/hooks/{path}"

    def api(self, path: str, method: str = "GET", token: str | None = None) -> Answer:
        """Ask the console, by default with the token that `up` has made."""
        token = (self.data / "api-token").read_text().strip() if token is None else token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return ask(method, f"http://127.0.0.1:{self.ports['console']}{path}", headers=headers)

    def get(self, path: str) -> Any:
        """The document that the console answers with, which has to be 200."""
        answer = self.api(path)
        assert answer.status == 200, answer
        return answer.document

    def outcome(self, delivery: str) -> str:
        """What became of a delivery."""
        return str(self.get(f"/deliveries/{delivery}")["outcome"])

    def until_folded(self, within_seconds: float = 10.0) -> None:
        """Wait until the register knows all that came in."""
        give_up_at = time.monotonic() + within_seconds
        while self.get("/deliveries?outcome=waiting&per_page=1"):
            assert time.monotonic() < give_up_at, "entries are still waiting"
            time.sleep(0.05)


def _killed(processes: list[Process]) -> int:
    """SIGKILL to each; how many there were."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return len(processes)
