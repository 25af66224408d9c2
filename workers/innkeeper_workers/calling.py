"""Called follow-ups: the vendor's functions, and what they get."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from innkeeper.lifecycle.errors import Permanent, Temporary
from innkeeper.lifecycle.events import Event
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import INSTANCE_FIELDS, instance_document, transition_document
from innkeeper.platforms.api_errors import Down, RateLimited
from innkeeper.store.outbox import Taken
from innkeeper.store.partitions import partition_of
from innkeeper.store.register import Line
from innkeeper_workers.customer_api import CustomerApi, customer_api


class Document(dict[str, Any]):
    """A JSON object whose fields can be read as attributes too."""

    def __getattr__(self, name: str) -> Any:
        """The field of that name. Raises AttributeError where there is none."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a follow-up gets beside the transition and the instance.

    `idempotency_key`: the same at every run. `attempt`: from 1. `secrets`: the customer's, by name
    (`application.client_secret`). `api`: an HTTP client signed in to the customer's account, None
    where no API is configured or the marketplace has no such thing. `event`: `type`, `object_id`,
    `order` and `payload`, of an app event what the customer's account sent; None once the delivery
    is no longer kept.
    """

    idempotency_key: str
    attempt: int
    secrets: dict[str, Any]
    api: CustomerApi | None
    event: Document | None

    def __repr__(self) -> str:
        """Without secrets or payload: representations end up in logs."""
        return f"Context(idempotency_key={self.idempotency_key!r}, attempt={self.attempt})"


def call(desk: Desk, name: str, taken: Taken, line: Line | None) -> None:
    """Call the function `package.module:function`. Raises Permanent where it cannot be found."""
    function = _function(name)
    work = taken.state.work
    if work.transition is None:
        raise Permanent("the work names no transition")
    context = Context(
        idempotency_key=work.id,
        attempt=taken.state.attempts,
        secrets=desk.register.secrets(line.instance) if line else {},
        api=customer_api(desk, work.instance),
        event=_event(desk, taken),
    )
    transition = Document(transition_document(work.transition))
    instance = Document(instance_document(line, INSTANCE_FIELDS)) if line else None
    try:
        function(transition, instance, context)
    except RateLimited as error:
        raise Temporary(error.delay_seconds, error.message) from error
    except Down as error:
        raise Temporary(message=error.message) from error


def _function(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Permanent(f"{name} cannot be imported: {error}") from error
    return found


def _event(desk: Desk, taken: Taken) -> Document | None:
    work = taken.state.work
    entry = desk.log.at(partition_of(work.instance), work.entry)
    if entry is None:
        return None
    event: Event = entry.event(desk.ring)
    return Document(
        type=event.type,
        object_id=event.object_id,
        order=str(event.order) if event.order else None,
        payload=event.payload if event.payload is not None else event.stated,
    )
