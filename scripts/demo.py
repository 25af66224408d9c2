"""`make demo`: Innkeeper with three simulated marketplaces and a small vendor app, live.

Everything lies in a folder that is gone afterwards. Ctrl-C ends it; `--seconds` ends it by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table

ROOT = Path(__file__).parent.parent
FOLLOW_UPS = """
[[follow_ups]]
name = "provision"
on = ["enabled", "resumed", "adopted"]
call = "acme:provision"

[[follow_ups]]
name = "close"
on = ["suspended", "disabled"]
call = "acme:close"

[[follow_ups]]
name = "remove"
on = ["removed"]
call = "acme:remove"
"""
STYLES = {
    "enabled": "green", "pending": "yellow", "suspended": "magenta", "disabled": "red",
    "removed": "dim",
}  # fmt: skip
READY_WITHIN_SECONDS = 60.0
SHOWN = 22


class Demo:
    """The running parts, and what is shown of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Choose ports and folders; nothing is started yet."""
        self.folder = folder
        self.seed = seed
        receiver, console, simulator, tls = (_free_port() for _ in range(4))
        self.receiver = f"http://127.0.0.1:{receiver}"
        self.console = f"http://127.0.0.1:{console}"
        self.simulator = f"http://127.0.0.1:{simulator}"
        self.ports = {"simulator": simulator, "tls": tls}
        self.config = folder / "innkeeper.toml"
        self.tenants = folder / "tenants.json"
        self.environment = os.environ | {
            "INNKEEPER_RECEIVER_BIND": f"127.0.0.1:{receiver}",
            "INNKEEPER_CONSOLE_BIND": f"127.0.0.1:{console}",
            "PYTHONPATH": str(ROOT / "examples" / "vendor"),
            "ACME_TENANTS": str(self.tenants),
        }

    def simulate(self) -> list[str]:
        """The command of the simulator."""
        return [
            sys.executable, "-m", "simulator", "--seed", str(self.seed),
            "--port", str(self.ports["simulator"]), "--tls-port", str(self.ports["tls"]),
            "--receiver", self.receiver, "--write-config", str(self.config), "--every", "0.5",
            "--duplicated", "0.1", "--disorder", "3", "--customers", "40",
        ]  # fmt: skip

    def up(self) -> list[str]:
        """The command of `innkeeper up`."""
        program = Path(sys.executable).parent / "innkeeper"
        options = ["--config", str(self.config), "--data", str(self.folder / "data")]
        return [str(program), "up", *options]

    def add_follow_ups(self) -> None:
        """Let the vendor app act, and the lists be read often."""
        text = self.config.read_text().replace("[apps.api]", '[apps.api]\nreconcile = "30s"')
        xandr = text.index('platform = "xandr"')
        text = text[:xandr] + text[xandr:].replace('reconcile = "30s"\n', "")
        self.config.write_text(text + FOLLOW_UPS)
        for line in (self.folder / "simulator.env").read_text().splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self.environment[name] = value.strip("'")

    def ask(self, path: str) -> Any:
        """Ask the console's API."""
        token = (self.folder / "data" / "api-token").read_text().strip()
        asked = urllib.request.Request(
            self.console + path, headers={"authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)

    def shown(self) -> Group:
        """The table: who came and went last, and how many are in which state."""
        instances = self.ask("/app_instances?sort=-updated_at&per_page=100")
        tenants = json.loads(self.tenants.read_text())["tenants"] if self.tenants.exists() else {}
        customer = Column("customer", no_wrap=True, ratio=1)
        table = Table(customer, "status", "tenant", "confirmed", "updated", expand=True)
        for one in instances[:SHOWN]:
            status = one["status"]
            table.add_row(
                one["id"],
                f"[{STYLES.get(status, 'white')}]{status}[/]",
                tenants.get(one["id"], "—"),
                "yes" if one["confirmed"] else "no",
                one["updated_at"][11:19],
            )
        counts = Counter(one["status"] for one in instances)
        told = "   ".join(f"{name} {number}" for name, number in sorted(counts.items()))
        return Group(table, f"{told}   tenants {len(tenants)}   API {self.console}")


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="innkeeper-demo-") as folder, ExitStack() as running:
        demo = Demo(Path(folder), said.seed)
        try:
            log = running.enter_context((demo.folder / "log").open("wb"))
            running.enter_context(_process(demo.simulate(), os.environ, log))
            _wait(lambda: (demo.folder / "simulator.env").exists(), "the simulator")
            demo.add_follow_ups()
            running.enter_context(_process(demo.up(), demo.environment, log))
            _wait(lambda: _answers(demo.receiver + "/health/ready"), "the receiver")
            _wait(lambda: _answers(demo.console + "/health"), "the console")
            _show(demo, said.seconds)
        except KeyboardInterrupt:
            return 0
        except RuntimeError as error:
            print(f"{error}\n{(demo.folder / 'log').read_text()[-2000:]}", file=sys.stderr)
            return 1
    return 0


def _show(demo: Demo, seconds: float) -> None:
    console, ends = Console(), time.monotonic() + seconds
    if not console.is_terminal:
        console.width = 100
        while time.monotonic() < ends:
            time.sleep(min(5.0, max(0.1, ends - time.monotonic())))
            console.print(demo.shown())
        return
    with Live(console=console, screen=True) as live:
        while time.monotonic() < ends:
            live.update(demo.shown())
            time.sleep(0.5)


@contextmanager
def _process(command: list[str], environment: Any, log: Any) -> Iterator[None]:
    """A process in a session of its own, so that Ctrl-C reaches it through us alone."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(ready: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + READY_WITHIN_SECONDS
    while not ready():
        if time.monotonic() > ends:
            raise RuntimeError(f"{what} did not get ready")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
