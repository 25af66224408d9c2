"""A trial: the services as people start them, each alone, over servers of the trial's own.

Everything lies in one temporary folder; nothing is left of it at the end. `up=True`: all of it
under one `innkeeper up` with its embedded servers instead.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from innkeeper.spool import look
from tests.faults.customers import CONFIGURATION, ENVIRONMENT, stories
from tests.faults.load import Load
from tests.store.servers import Server
from tests.system.agreeing import SECRETS_TOKEN, figures
from tests.system.calls import Calls
from tests.system.running import PROGRAM, VENDOR, Inn
from tests.system.speaking import ask

SERVICES = ("receiver", "worker", "console")
_STARTS_WITHIN_SECONDS = 30.0
_STOPS_WITHIN_SECONDS = 40.0


class Trial(Inn):
    """One try of a fault, under a seed. `configuration`: added to that of the customers' apps.

    `durability` is what the configuration accepts; `store_settings` are the server's own.
    """

    def __init__(
        self,
        seed: int,
        *,
        configuration: str = "",
        durability: str = "fsync",
        up: bool = False,
        store_settings: dict[str, str] | None = None,
        **environment: str,
    ) -> None:
        super().__init__(**{**ENVIRONMENT, "INNKEEPER_SECRETS_TOKEN": SECRETS_TOKEN, **environment})
        self.rng = random.Random(seed)
        self.seed = seed
        self.up = up
        self.fault_ended_at: float | None = None
        self.configure(f'[store]\ndurability = "{durability}"\n{configuration}{CONFIGURATION}')
        self.environment["ACME_CALLS"] = str(self.folder / "calls.jsonl")
        self.store = self._server("store", **(store_settings or {}))
        self.queue = self._server("queue", appendonly="no")
        if not up:
            self.environment["REDIS_URL"] = self.store.url
            self.environment["INNKEEPER_QUEUE_URL"] = self.queue.url
            self._make_keys()
        self._services: dict[str, subprocess.Popen[bytes]] = {}
        self._launched: list[subprocess.Popen[bytes]] = []

    @property
    def calls(self) -> Calls:
        """What the vendor's function has noted."""
        return Calls(self.folder / "calls.jsonl")

    def open(self, services: Sequence[str] = SERVICES) -> None:
        """Start the servers and the services, and wait until all are ready."""
        if self.up:
            self.start()
            return
        self.store.start()
        self.queue.start()
        for name in services:
            self.launch_service(name)
        for name in services:
            self.until_ready(name)

    def launch_service(
        self, name: str, program: Sequence[str] = (str(PROGRAM),), **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a service and do not wait. `program`: what to run instead of `innkeeper`."""
        arguments = ["--data", str(self.data), "--config", str(self.folder / "innkeeper.toml")]
        with self.log.open("ab") as log:
            self._services[name] = subprocess.Popen(
                [*program, name, *arguments], cwd=self.folder,
                env={**self.variables(), **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._launched.append(self._services[name])
        return self._services[name]

    def until_ready(self, name: str) -> None:
        """Wait until a service answers that it is ready; fails if it has ended."""
        started = time.monotonic()
        while not self.is_ready(name):
            process = self._services.get(name)
            assert process is None or process.poll() is None, f"{name} ended: {self.last_words()}"
            assert time.monotonic() < started + _STARTS_WITHIN_SECONDS, f"{name} is not ready"
            time.sleep(0.02)

    def is_ready(self, name: str) -> bool:
        """Whether a service says that it is ready; of workers, whether they run."""
        if name == "worker":
            return len(self.pids("worker")) > 1
        path = "/health/ready" if name == "receiver" else "/health"
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self.ports[name]}{path}"
            return ask("GET", url, within_seconds=5).status == 200
        return False

    def pids(self, name: str) -> list[int]:
        """The processes of a service, the parent first."""
        found = sorted(process.pid for process in self.processes(f" {name} --data "))
        parent = self._services[name].pid if name in self._services else None
        return sorted(found, key=lambda pid: pid != parent)

    def kill_service(self, name: str) -> int:
        """SIGKILL to every process of a service; how many there were."""
        return self.signal_service(name, signal.SIGKILL)

    def signal_service(self, name: str, number: signal.Signals) -> int:
        """A signal to every process of a service; how many there were."""
        found = self.pids(name)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number is signal.SIGKILL and name in self._services:
            self._services[name].wait()
        return len(found)

    def restart_service(self, name: str) -> None:
        """SIGKILL to all of a service, and start it again; do not wait."""
        self.kill_service(name)
        self.launch_service(name)

    def load(self, customers: int, steps: int, **options: float) -> Load:
        """Senders for so many customers, each with so many steps; see `Load`. Not started."""
        told = stories(self.rng, customers, steps)
        return Load(self.ports["receiver"], told, self.rng, **options)  # type: ignore[arg-type]

    def fault_over(self) -> None:
        """From now on nothing is wrong any more: recovery counts from here."""
        self.fault_ended_at = time.monotonic()

    def settle(self, within_seconds: float = 30.0) -> float:
        """Wait until nothing is pending anywhere; seconds since the fault's end.

        `within_seconds`: for how long nothing may get on.
        """
        since, standing = self.fault_ended_at or time.monotonic(), self._standing_now()
        moved_at = time.monotonic()
        while standing is None or any(standing.values()):
            assert time.monotonic() < moved_at + within_seconds, (standing, self.last_words())
            time.sleep(0.1)
            before, standing = standing, self._standing_now()
            if standing != before:
                moved_at = time.monotonic()
        return time.monotonic() - since

    def standing(self) -> dict[str, float]:
        """What is still to be done: entries, work, deliveries in the spool."""
        now = figures(self)
        return {
            "entries": now["innkeeper_entries_pending"],
            # A dead letter stays open until somebody decides.
            "work": now["innkeeper_work_open"] - now["innkeeper_dead_letters"],
            "spooled": self.spooled(),
        }

    def spooled(self) -> int:
        """How many deliveries lie in the spool."""
        state = look(self.data, now=time.time())
        assert state is None or state.error is None, state
        return state.deliveries if state else 0

    def store_state(self) -> str:
        """How the store is, in the receiver's words; "ok" if all is well."""
        url = f"http://127.0.0.1:{self.ports['receiver']}/health/ready"
        return str(ask("GET", url).document["store"])

    def last_words(self, lines: int = 60) -> str:
        """The end of what the services have said of what is not as usual."""
        said = self.log.read_text(errors="replace").splitlines()
        return "\n".join([one for one in said if '"level":"info"' not in one][-lines:])

    def end(self) -> None:
        """Whatever happened, nothing of it runs or lies about any more."""
        for server in (self.store, self.queue):
            with contextlib.suppress(AssertionError, ProcessLookupError):
                os.kill(server.pid, signal.SIGCONT)
        for name in SERVICES if not self.up else ():
            self.kill_service(name)
        for process in self._launched:
            process.wait()
        self.store.kill()
        self.queue.kill()
        super().end()

    def _standing_now(self) -> dict[str, float] | None:
        """None while nobody can tell."""
        try:
            return self.standing()
        except (OSError, AssertionError, KeyError):
            return None

    def _server(self, name: str, **settings: str) -> Server:
        folder = self.folder / name
        folder.mkdir()
        return Server(folder, **settings)

    def _make_keys(self) -> None:
        self.data.mkdir(mode=0o700)
        for name in ("secret-keys", "api-token"):
            path = self.data / name
            path.write_text(base64.b64encode(os.urandom(32)).decode())
            path.chmod(0o600)


def python(*arguments: str) -> tuple[str, ...]:
    """A `program` for `launch_service`: Python, which finds our tests, with these arguments."""
    return (sys.executable, *arguments)


PYTHON_PATH = os.pathsep.join([str(VENDOR), *filter(None, sys.path)])
