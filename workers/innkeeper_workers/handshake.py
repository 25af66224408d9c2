"""The handshake: shows the marketplace that a webhook's receiver is ours, by calling it back.

Only over https, only to the host of the verified issuer, never to a private address, following no
redirect: where a callback points is not checked by anybody else.
"""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

from innkeeper.lifecycle.errors import Permanent, Temporary
from innkeeper.operations.desk import Desk
from innkeeper.outgoing import Forbidden, Unreachable
from innkeeper.store.outbox import Taken
from innkeeper.store.partitions import partition_of
from innkeeper_workers.performing import Task
from innkeeper_workers.posting import judge

_LIMIT_SECONDS = 15.0
_TIMEOUT_SECONDS = 10.0


def task_of(desk: Desk, taken: Taken) -> Task:
    """Answer a handshake."""
    return Task(lambda: _answer(desk, taken), _LIMIT_SECONDS)


def _answer(desk: Desk, taken: Taken) -> None:
    work = taken.state.work
    entry = desk.log.at(partition_of(work.instance), work.entry)
    event = entry.event(desk.ring) if entry else None
    if event is None or not event.callback or not event.callback_host:
        raise Permanent("the delivery that asked for it is no longer kept")
    try:
        answer = desk.outgoing.request(
            "GET",
            event.callback,
            only_host=event.callback_host,
            public_only=True,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
    except Forbidden as error:
        raise Permanent(str(error)) from error
    except Unreachable as error:
        if _expired(event.callback):
            raise Permanent(f"{error}; and the callback has expired") from error
        raise Temporary(message=str(error)) from error
    judge(answer)


def _expired(callback: str) -> bool:
    """Whether the callback says of itself that it is no longer valid."""
    stated = parse_qs(urlsplit(callback).query).get("expires_at", [])
    return len(stated) == 1 and stated[0].isdigit() and int(stated[0]) < time.time()
