"""Follow-ups of a vendor: what the tests have called, and how it behaves."""

from __future__ import annotations

import sys
import time
from typing import Any

from innkeeper import Permanent, Temporary

seen: list[tuple[Any, Any, Any]] = []
"""Transition, instance and context of every call."""
raised: list[BaseException] = []
"""What the next calls of `fail` raise, one after the other."""


def record(transition: Any, instance: Any, context: Any) -> None:
    """Note the call."""
    seen.append((transition, instance, context))


def fail(transition: Any, instance: Any, context: Any) -> None:
    """Note the call, and fail as told; without being told, succeed."""
    record(transition, instance, context)
    if raised:
        raise raised.pop(0)


def give_up(transition: Any, instance: Any, context: Any) -> None:
    """Fail for good, and say far too much about it."""
    record(transition, instance, context)
    password = context.secrets["application.client_secret"]
    raise Permanent(f"no luck with {password}, {password!r} and Bearer abcdefgh12345678")


def later(transition: Any, instance: Any, context: Any) -> None:
    """Ask for another try in half a minute."""
    record(transition, instance, context)
    raise Temporary(30)


def leave(transition: Any, instance: Any, context: Any) -> None:
    """Leave the process, or try to."""
    record(transition, instance, context)
    sys.exit("good-bye")


def sleep(transition: Any, instance: Any, context: Any) -> None:
    """Take too long."""
    record(transition, instance, context)
    time.sleep(30)


def swallow(transition: Any, instance: Any, context: Any) -> None:
    """Take too long, and let no exception out."""
    record(transition, instance, context)
    while True:
        try:
            time.sleep(30)
        except Exception as error:
            raised.append(error)


def ask(transition: Any, instance: Any, context: Any) -> None:
    """Ask the customer's account for something."""
    context.api.get("/requests")
