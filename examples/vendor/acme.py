"""A small vendor app: what Acme does when its customers check in and out.

It keeps its tenants in a file, in place of a database. Each function may run more than once for
one transition, so each asks first whether it has seen the idempotency key.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from innkeeper import Permanent


def provision(transition: Any, instance: dict[str, Any], context: Any) -> None:
    """A customer operates: make the tenant, or open it again."""
    _set(instance, context, "open")


def close(transition: Any, instance: dict[str, Any], context: Any) -> None:
    """A customer does not operate any more: nothing runs, nothing is lost."""
    _set(instance, context, "closed")


def remove(transition: Any, instance: dict[str, Any], context: Any) -> None:
    """A customer is gone."""
    _set(instance, context, None)


def _set(instance: dict[str, Any], context: Any, state: str | None) -> None:
    if not instance:
        raise Permanent("there is no such customer in the register")
    with _tenants() as book:
        if context.idempotency_key in book["seen"]:
            return
        book["seen"].append(context.idempotency_key)
        book["tenants"].pop(instance["id"], None)
        if state is not None:
            book["tenants"][instance["id"]] = state


@contextmanager
def _tenants() -> Iterator[dict[str, Any]]:
    path = Path(os.environ.get("ACME_TENANTS", "tenants.json"))
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        book = json.loads(file.read() or '{"seen": [], "tenants": {}}')
        yield book
        file.truncate(0)
        file.write(json.dumps(book))
