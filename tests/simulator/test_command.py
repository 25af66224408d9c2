"""`python -m simulator`: as people start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from innkeeper.config import Discovery, XandrApp, XurrentApp, load_config
from tests.simulator.conftest import free_port


def test_it_writes_a_configuration_that_fits(tmp_path: Path):
    """The file is read without a fault under the printed environment; SIGTERM ends it well."""
    file, port, tls_port = tmp_path / "innkeeper.toml", free_port(), free_port()
    arguments = ["--seed", "1", "--port", str(port), "--tls-port", str(tls_port)]
    arguments += ["--receiver", "http://127.0.0.1:9", "--write-config", str(file)]
    arguments += ["--algorithms", "es256", "es512"]
    with subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line.strip())
            if line.startswith("# listening"):
                break
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/control/truth", timeout=5) as answer:
            assert answer.read() == b"{}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    exports = [line.removeprefix("export ") for line in printed if line.startswith("export ")]
    variables = dict(line.split("=", 1) for line in exports)
    config = load_config(file, {**os.environ, **variables}, data=tmp_path, generate=True)
    assert [app.name for app in config.apps] == [
        "note-dispatcher",
        "badge-printer",
        "loyalty",
        "bid-reports",
    ]
    first, second, _, last = config.apps
    assert isinstance(first, XurrentApp)
    assert isinstance(second, XurrentApp)
    assert isinstance(second.policy, Discovery)
    assert (first.account, first.domain) == (second.account, second.domain)
    assert isinstance(last, XandrApp)
    assert Path(variables["SSL_CERT_FILE"]).is_file()


def test_a_port_that_is_taken(tmp_path: Path):
    """Exit 2, with the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "simulator", "--port", port, "--tls-port", "0",
             "--algorithms", "es256", "es256"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert ended.returncode == 2
    assert "in use" in ended.stderr
