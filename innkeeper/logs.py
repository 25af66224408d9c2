"""Structured logs: one wide JSON line per stage, to standard error.

The events and their keys are listed in docs/operations.md. Bodies, signatures, tokens and secrets
are never among them.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

_encode = msgspec.json.Encoder(enc_hook=str).encode


def set_up_logs(service: str) -> None:
    """Configure the process's logs; `service` stands in every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> Any:
    """A logger; takes the settings of `set_up_logs` at its first line."""
    return structlog.get_logger()


def _render(_: Any, __: str, line: MutableMapping[str, Any]) -> bytes:
    return _encode(line)
