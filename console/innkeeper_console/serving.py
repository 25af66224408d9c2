"""What `innkeeper console` runs: the API until a signal."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from innkeeper import runtime
from innkeeper.config import Config, ConfigFaults, Fault, require_keys, require_token
from innkeeper.logs import set_up_logs
from innkeeper.operations.desk import Desk, wait_for_desk
from innkeeper.serving import run_app
from innkeeper.store.errors import StoreRefused
from innkeeper_console.api import create_app
from innkeeper_receiver.door import Door
from innkeeper_receiver.figures import Figures

_DRAIN_SECONDS = 3.0
_MOST_CONNECTIONS = 200


def serve(config: Config) -> None:
    """Serve until a signal. Raises ConfigFaults; exits 1 with the reason for a refused store."""
    runtime.follow_parent()
    _require(config)
    set_up_logs("console")
    desk = _open_desk(config)
    # Slow heads and too many connections are dealt with as at the receiver; nobody counts them.
    door = Door(
        Figures(),
        headers_within=config.receiver.headers_within,
        most_connections=_MOST_CONNECTIONS,
    )
    try:
        run_app(
            create_app(desk),
            config.console.bind,
            drain_seconds=_DRAIN_SECONDS,
            protocol=door.protocol,
        )
    finally:
        desk.close()


def _require(config: Config) -> None:
    faults: list[Fault] = []
    for require in (require_keys, require_token):
        try:
            require(config)
        except ConfigFaults as error:
            faults += error.faults
    if faults:
        raise ConfigFaults(faults)


def _open_desk(config: Config) -> Desk:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        # Operators may want to see what is wrong.
        return wait_for_desk(config, refuse_untrusted=False)
    except StoreRefused as error:
        sys.exit(f"innkeeper console: {error}")


def _stop(*_: object) -> NoReturn:
    sys.exit(0)
