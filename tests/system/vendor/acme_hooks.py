"""The vendor's own code, which the workers import: notes each call as a JSON line.

It is no part of the tests that drive `up`, and so may import what the contract gives to vendors.
"""

from __future__ import annotations

import json
import os
from typing import Any

from innkeeper import Permanent


def note(transition: Any, instance: Any, context: Any) -> None:
    """Note a call; one short write, so that lines of several processes do not mix."""
    line = {
        "instance": instance["id"],
        "status": instance["status"],
        "name": transition.name,
        "transition": transition.id,
        "from": transition.from_status,
        "to": transition.to_status,
        "key": context.idempotency_key,
        "attempt": context.attempt,
        "secrets": sorted(context.secrets),
    }
    file = os.open(os.environ["ACME_CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def spill(transition: Any, instance: Any, context: Any) -> None:
    """Fail for good, with every secret in the error."""
    raise Permanent(f"no room for {context.secrets}")
