"""Acting as a customer: a token for the customer's account, and the customer's secrets themselves.

Asked by follow-ups and, for vendors in other languages, over the console's API. Nothing of what is
given out is ever logged; that secrets were given out is.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from typing import Any

import msgspec

from innkeeper.lifecycle.events import Event, EventKind, InstanceKey, Mark
from innkeeper.logs import get_logger
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import seconds_utc
from innkeeper.operations.operator_entries import append_by_operator
from innkeeper.operations.reading import open_client
from innkeeper.platforms.api_errors import Unsupported
from innkeeper.store.register import Line

_MARGIN_SECONDS = 60.0
log = get_logger()


class CustomerToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token to act as a customer, `expires` in seconds since the epoch."""

    token: str
    expires: float

    @property
    def expires_at(self) -> datetime:
        """When it is no longer to be used."""
        return seconds_utc(self.expires)

    def __repr__(self) -> str:
        return f"CustomerToken(expires={self.expires})"


def customer_token(desk: Desk, key: InstanceKey, *, refused: str | None = None) -> CustomerToken:
    """A token for the customer's account: the one that is held, else a fresh one.

    `refused`: a token that the marketplace does not take any more. Raises ApiError (Unsupported
    where there can be none), MissingKey, Damaged, StoreError, StoreUnavailable.
    """
    app = desk.config.app(key.platform, key.app)
    if app is None:
        raise Unsupported(f"{key.platform}/{key.app} is not configured any more")
    line = desk.register.line(key)
    name = _name(key, line)
    held = desk.tokens.get(name)
    if held is not None:
        known = msgspec.json.decode(held, type=CustomerToken)
        if known.token != refused:
            return known
    secrets = desk.register.secrets(line.instance) if line else {}
    token, lives_seconds = open_client(desk, app).customer_token(key.account, secrets)
    usable = lives_seconds - min(_MARGIN_SECONDS, lives_seconds / 10)
    fresh = CustomerToken(token=token, expires=time.time() + usable)
    desk.tokens.put(name, msgspec.json.encode(fresh).decode(), lives_seconds=usable)
    return fresh


def read_secrets(desk: Desk, line: Line, caller: str | None) -> dict[str, Any]:
    """The secrets in force, by name. The read is on record before they are given out.

    The record is an entry of the instance in the log that is kept and never applied. `caller`: the
    address that asks. Raises MissingKey, Damaged, StoreError, StoreUnavailable.
    """
    key = line.instance.key
    found = desk.register.secrets(line.instance)
    names = sorted(found)
    event = Event(
        type="secrets.read", kind=EventKind.OTHER, payload={"caller": caller, "names": names}
    )
    delivery = append_by_operator(desk, key, event, mark=Mark.SECRETS_READ)
    log.info("secrets.read", instance=str(key), delivery=delivery, caller=caller, names=names)
    return found


def _name(key: InstanceKey, line: Line | None) -> str:
    """Under which the token is held: another one once the customer's secrets are others."""
    slots = line.instance.secrets if line else {}
    digests = [f"{name}={slot.current.digest}" for name, slot in sorted(slots.items())]
    known = hashlib.sha256("\n".join((str(key), *digests)).encode()).hexdigest()
    return f"customer:{known[:32]}"
