"""The simulated marketplaces before an inn: a process, driven and asked over its control.

Knows what `python -m simulator` tells of its outside and nothing else.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.processes import free_port, soon
from tests.system.running import Inn
from tests.system.speaking import ask

_ROOT = Path(__file__).parents[2]
_STARTS_WITHIN_SECONDS = 30.0
Truth = dict[str, dict[str, Any]]


class Simulator:
    """Three marketplaces whose deliveries go to `inn`, and which write its configuration."""

    def __init__(self, inn: Inn) -> None:
        """Choose a port; nothing is started yet."""
        self.url = f"http://127.0.0.1:{free_port()}"
        self._inn = inn
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, more: str, *, reconcile: str = "5s", **options: float) -> None:
        """Start it, and wait until it serves.

        `options`: of the command, by name. `more`: appended to the configuration; `reconcile`: how
        often the lists of those who also send deliveries are gone through.
        """
        written = self._inn.folder / "simulator.env"
        with (self._inn.folder / "simulator.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "simulator", *self._stated(options)],
                cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        assert soon(lambda: written.exists() and self._is_up(), _STARTS_WITHIN_SECONDS)
        for line in written.read_text().splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self._inn.environment[name] = shlex.split(value)[0]
        _adapt(self._inn.folder / "innkeeper.toml", more, reconcile)

    def end(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def act(self, count: int) -> None:
        """That many actions by chance; until all that was said of them has ended."""
        self._control("POST", "act", n=count)
        self.settle()

    def settle(self) -> dict[str, int]:
        """Wait until nothing is on its way; how many deliveries ended how."""
        counts: dict[str, int] = self._control("POST", "settle")
        return counts

    def perform(self, app: str, account: str, action: str) -> None:
        """One named action, and its deliveries."""
        self._control("POST", "perform", app=app, account=account, action=action)
        self.settle()

    def rates(self, **rates: float) -> None:
        """How much goes wrong from now on."""
        self._control("PATCH", "rates", **rates)

    def trouble(self, platform: str, trouble: str, **details: float) -> None:
        """Something is wrong with a marketplace's API."""
        self._control("POST", "trouble", platform=platform, trouble=trouble, **details)

    def truth(self) -> Truth:
        """Every instance that there is or was, with its secrets."""
        found: Truth = self._control("GET", "truth?secrets=true")
        return found

    def deliveries(self, **query: str) -> list[dict[str, Any]]:
        """What was sent, and what became of it."""
        found: list[dict[str, Any]] = self._control("GET", f"deliveries?{urlencode(query)}")[
            "deliveries"
        ]
        return found

    def _stated(self, options: dict[str, float]) -> list[str]:
        told = {
            "port": self.url.rpartition(":")[2],
            "tls-port": free_port(),
            "receiver": f"http://127.0.0.1:{self._inn.ports['receiver']}",
            "write-config": self._inn.folder / "innkeeper.toml",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        return [f"--{name}={value}" for name, value in told.items()]

    def _is_up(self) -> bool:
        try:
            return ask("GET", f"{self.url}/control/rates").status == 200
        except OSError:
            return False

    def _control(self, method: str, path: str, **said: Any) -> Any:
        body = None if method == "GET" else json.dumps(said).encode()
        answer = ask(method, f"{self.url}/control/{path}", body=body, within_seconds=120.0)
        assert answer.status < 300, answer
        return answer.document


def _adapt(file: Path, more: str, reconcile: str) -> None:
    """Have the lists read often, xandr's every second, and add what the test wants."""
    parts = file.read_text().split("[[apps]]")
    for place, part in enumerate(parts):
        if 'platform = "xandr"' not in part:
            parts[place] = part.replace("[apps.api]", f'[apps.api]\nreconcile = "{reconcile}"')
    text = "[[apps]]".join(parts).replace('poll = "5s"', 'poll = "1s"')
    file.write_text(f"{text}\n{more}")
