"""A receiver in a process of its own, as `innkeeper receiver` runs it."""

from __future__ import annotations

import base64
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import KEY
from tests.deliveries import APP, DOMAIN, OFFERING, PROVIDER, delivery, lifecycle
from tests.keys import key_for, public_pem
from tests.processes import free_port, soon
from tests.receiver.running import Listening

_PROGRAM = Path(sys.executable).with_name("innkeeper")
_CONFIGURATION = """
[receiver]
bind = "127.0.0.1:{port}"
{settings}
[[apps]]
platform = "xurrent"
name = "{app}"
reference = "{offering}"
account = "{account}"
domain = "{domain}"
[apps.policy]
algorithm = "rs256"
key = '''
{key}'''
"""

_audit_lines = itertools.count(1)


def fresh() -> bytes:
    """A delivery that was not sent before."""
    return delivery(lifecycle(audit=next(_audit_lines)))


class ReceiverProcess(Listening):
    """Started at once, on a store that is there; ended by `end`, whatever happens."""

    def __init__(
        self, folder: Path, store_url: str, *settings: str, open_files: int | None = None
    ) -> None:
        """`settings`: lines of `[receiver]`. `open_files`: their hard limit."""
        self.port = free_port()
        self._log = folder / "receiver.log"
        configuration = folder / "innkeeper.toml"
        configuration.write_text(
            _CONFIGURATION.format(
                port=self.port,
                settings="\n".join(settings),
                app=APP,
                offering=OFFERING,
                account=PROVIDER,
                domain=DOMAIN,
                key=public_pem(key_for("RS256")),
            )
        )
        limited = ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh"] if open_files else []
        command = [str(_PROGRAM), "receiver", "--config", str(configuration), "--data", str(folder)]
        environment = os.environ | {
            "REDIS_URL": store_url,
            "INNKEEPER_SECRET_KEYS": base64.b64encode(KEY).decode(),
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([*limited, *command], stderr=log, env=environment)

    def until_ready(self) -> ReceiverProcess:
        """Wait for it."""
        assert soon(self._is_ready, 30), self.log
        return self

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    @property
    def memory(self) -> int:
        """Bytes of it that are in memory."""
        return self._status("VmRSS") * 1024

    @property
    def most_memory(self) -> int:
        """The most bytes that ever were."""
        return self._status("VmHWM") * 1024

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def end(self) -> None:
        """Nothing of it is left."""
        self.process.kill()
        self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return self.ask("GET", "/health/ready").status == 200
        except OSError:
            return False

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))
