"""What `innkeeper receiver` runs."""

from __future__ import annotations

import sys

from innkeeper.config import Config
from innkeeper.logs import set_up_logs
from innkeeper.serving import run_app
from innkeeper_receiver.app import Receiver

_DRAIN_SECONDS = 8.0


def serve(config: Config) -> None:
    """Serve until a signal. Exits 1 with the reason if it ended by itself."""
    set_up_logs("receiver")
    receiver = Receiver(config)
    receiver.door.fit_open_files()
    run_app(
        receiver.app,
        config.receiver.bind,
        drain_seconds=_DRAIN_SECONDS,
        protocol=receiver.door.protocol,
    )
    if receiver.ended_by:
        sys.exit(f"innkeeper receiver: {receiver.ended_by}")
