"""`make bench`: verified, durably stored, answered deliveries a second through one receiver.

Beside it, in turn, the same server that only answers 202, and this machine's `openssl speed`. The
ratio of the two is what to quote: a machine's speed drifts. No worker runs meanwhile.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.load import Result, request, send
from innkeeper_console.embedded import EmbeddedServer

ROUNDS = int(os.environ.get("ROUNDS", "3"))
DELIVERIES = int(os.environ.get("DELIVERIES", "8000"))
CONNECTIONS = 64
CONFIG = """
[receiver]
bind = "127.0.0.1:{port}"
[[apps]]
platform = "xurrent"
reference = "bench"
account = "acme"
domain = "xurrent.example"
[apps.policy]
algorithm = "rs256"
audience = "bench"
key = '''
{key}'''
"""


def openssl() -> str:
    """This machine's RSA speed, as openssl itself says it."""
    told = subprocess.run(
        ["openssl", "speed", "-seconds", "2", "rsa2048"],  # noqa: S607
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return next(line for line in told.stdout.splitlines() if line.startswith("rsa"))


def bodies(key: rsa.RSAPrivateKey, count: int) -> list[bytes]:
    """Signed deliveries, each of an instance and a token id of its own."""
    numbers = itertools.count(int(time.time() * 1000))

    def body(number: int) -> bytes:
        data = {
            "webhook_id": 7, "account_id": "acme", "event": "app_instance.update",
            "object_id": number, "object_nodeID": secrets.token_hex(12),
            "payload": {
                "audit_line_id": number, "customer_account_id": f"c{number}",
                "app_offering": {"reference": "bench", "id": 2, "nodeID": secrets.token_hex(12)},
                "disabled": False, "enabled_by_customer": True, "suspended": False,
                "customer_representative": {"id": 568, "name": "Ada", "account": {"id": "acme"}},
            },
        }  # fmt: skip
        claims = {
            "data": data, "jti": secrets.token_hex(32), "sub": "7", "aud": "bench",
            "iss": "https://acme.xurrent.example", "iat": int(time.time()), "nbf": int(time.time()),
        }  # fmt: skip
        return json.dumps({"jwt": jwt.encode(claims, key, algorithm="RS256")}).encode()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(body, itertools.islice(numbers, count)))


def main() -> None:
    """Measure, and print one table."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    print("openssl before:", openssl())
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        ports = [free_port(), free_port()]
        config = Path(folder) / "innkeeper.toml"
        config.write_text(CONFIG.format(port=ports[0], key=public.decode()))
        servers = [
            EmbeddedServer(name="store", data=data),
            EmbeddedServer(name="queue", data=data, durability="memory"),
        ]
        for server in servers:
            server.start()
        processes = [receiver(config, data, folder), yardstick(ports[1])]
        try:
            for port, path in zip(ports, ("/health/ready", "/hooks/x/y"), strict=True):
                wait_for(port, path)
            ratios = [measure(ports, bodies(key, DELIVERIES)) for _ in range(ROUNDS)]
        finally:
            for process in processes:
                process.terminate()
                process.wait()
            for server in reversed(servers):
                server.stop()
    print("openssl after: ", openssl())
    print(f"ratio, median of {ROUNDS}: {statistics.median(ratios):.2f}")


def measure(ports: list[int], signed: list[bytes]) -> float:
    """One round of both; the ratio of their rates."""
    requests = [request("/hooks/xurrent/bench", body) for body in signed]
    stored = send(ports[0], requests, connections=CONNECTIONS)
    answered = send(ports[1], requests * 2, connections=CONNECTIONS)
    if stored.statuses != {"202": len(signed)}:
        sys.exit(f"not every delivery was accepted: {stored.statuses}")
    show("verified and stored with fsync", stored)
    show("only answered", answered)
    return stored.rate / answered.rate


def show(what: str, result: Result) -> None:
    """One line of the table."""
    print(f"{what:32} {result.rate:8,.0f} a second   p99 {result.p99_milliseconds:6.1f} ms")


def receiver(config: Path, data: Path, folder: str) -> subprocess.Popen[bytes]:
    """The real receiver."""
    command = [str(Path(sys.executable).parent / "innkeeper"), "receiver"]
    environment = os.environ | {"INNKEEPER_SECRET_KEYS": subprocess.check_output(
        ["openssl", "rand", "-base64", "32"], text=True  # noqa: S607
    ).strip()}  # fmt: skip
    with (Path(folder) / "receiver.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--config", str(config), "--data", str(data)], stderr=log, env=environment
        )


def yardstick(port: int) -> subprocess.Popen[bytes]:
    """The server that only answers."""
    program = Path(__file__).parent / "answering.py"
    return subprocess.Popen([sys.executable, str(program), str(port)])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, path: str) -> None:
    """Wait until a server answers, whatever it is."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}")
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"nothing answers at {port}")


if __name__ == "__main__":
    main()
