"""Structured logs: one wide JSON line per stage, to standard error.

The events and their keys are listed in docs/operations.md. Bodies, signatures, tokens and secrets
are never among them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

_encode = msgspec.json.Encoder(enc_hook=str).encode


class _StandardError:
    """Writes whole lines to what standard error is by then: loggers outlive a redirection."""

    def msg(self, line: bytes) -> None:
        # A full disk or a reader that left does not undo what the line tells of.
        with suppress(OSError):
            sys.stderr.buffer.write(line + b"\n")
            sys.stderr.buffer.flush()

    debug = info = warning = error = critical = msg


def set_up_logs(service: str, *, for_good: bool = True) -> None:
    """Configure the process's logs; `service` stands in every line.

    `for_good`: a logger keeps these settings from its first line on, which makes its lines cheap.
    """

    def render(_: Any, level: str, line: MutableMapping[str, Any]) -> bytes:
        # All in one step: a receiver writes a line for each delivery.
        line["service"] = service
        line["level"] = level
        line["timestamp"] = datetime.now(UTC)
        return _encode(line)

    structlog.configure(
        processors=[render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=for_good,
    )


def get_logger() -> Any:
    """A logger; takes the settings of `set_up_logs` at its first line."""
    return structlog.get_logger()
