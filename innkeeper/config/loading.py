"""Loads the configuration: file, environment, data folder, and what must hold among them.

Called once, in the entry of each process. Raises ConfigFaults with every fault at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from innkeeper.config.app_tables import read_apps
from innkeeper.config.faults import ConfigFaults
from innkeeper.config.follow_up_tables import read_follow_ups
from innkeeper.config.keys import API_TOKEN, make_missing, read_credentials
from innkeeper.config.reading import Reading, Table
from innkeeper.config.section_tables import (
    read_console,
    read_metrics,
    read_outgoing,
    read_queue,
    read_receiver,
    read_retention,
    read_store,
    read_workers,
)
from innkeeper.config.sections import Config

_MAX_FILE_BYTES = 1 << 20
_DEFAULT_FILE = "innkeeper.toml"
_DEFAULT_DATA = ".innkeeper"


def load_config(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    data: Path | None = None,
    generate: bool = False,
) -> Config:
    """The configuration of the file at `path`, INNKEEPER_CONFIG or ./innkeeper.toml.

    Without any file it has no apps. `data` goes before INNKEEPER_DATA. With `generate`, missing
    keys and a missing token are made in the data folder. Raises ConfigFaults.
    """
    source, named_by = _find(path, environ)
    folder = (data or Path(environ.get("INNKEEPER_DATA") or _DEFAULT_DATA)).absolute()
    reading = Reading(environ, source.parent if source else Path.cwd())
    document = Table(reading, "", _parse(reading, source, named_by) if source else {})
    config = _read(document, source, folder)
    document.end()
    found = read_credentials(reading, folder)
    if not (config.console.bind.is_loopback or found.api_tokens or generate):
        message = (
            f"{config.console.bind} is open to the network, and there is no token: {API_TOKEN}"
        )
        reading.fault("console.bind", message)
    if reading.faults:
        raise ConfigFaults(reading.faults)
    if generate:
        found = make_missing(reading, found, folder)
    return msgspec.structs.replace(
        config,
        secret_keys=found.secret_keys,
        secret_keys_file=found.secret_keys_file,
        api_tokens=found.api_tokens,
        secrets_token=found.secrets_token,
    )


def _find(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The file, absolute, and what named it; no file where nothing names one."""
    if path is not None:
        return path.absolute(), "--config"
    if stated := environ.get("INNKEEPER_CONFIG"):
        return Path(stated).absolute(), "INNKEEPER_CONFIG"
    default = Path(_DEFAULT_FILE).absolute()
    return (default if default.exists() else None), "the working directory"


def _parse(reading: Reading, source: Path, named_by: str) -> dict[str, Any]:
    try:
        with source.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            reading.fault(str(source), "is larger than 1 MiB")
            return {}
        return tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError:
        reading.fault(str(source), f"does not exist (named by {named_by})")
    except OSError as wrong:
        reading.fault(str(source), f"cannot be read: {wrong.strerror}")
    except UnicodeDecodeError as wrong:
        line = wrong.object.count(b"\n", 0, wrong.start) + 1
        reading.fault(str(source), f"is not UTF-8 (line {line})")
    except ValueError as wrong:  # a number of thousands of digits is no TOMLDecodeError
        reading.fault(str(source), f"is not TOML: {wrong}")
    except RecursionError:
        reading.fault(str(source), "is nested too deeply")
    return {}


def _read(document: Table, source: Path | None, data: Path) -> Config:
    # Which hosts may go unencrypted is asked by every URL that follows.
    outgoing = read_outgoing(document.table("outgoing"))
    document.reading.allow_hosts = outgoing.allow_hosts
    store = read_store(document.table("store"))
    return Config(
        source=source,
        data=data,
        store=store,
        queue=read_queue(document.table("queue"), store),
        receiver=read_receiver(document.table("receiver")),
        console=read_console(document.table("console")),
        retention=read_retention(document.table("retention")),
        outgoing=outgoing,
        metrics=read_metrics(document.table("metrics")),
        workers=read_workers(document.table("workers")),
        apps=read_apps(document),
        follow_ups=read_follow_ups(document),
    )
