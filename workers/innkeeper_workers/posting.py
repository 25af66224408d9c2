"""Posted follow-ups: signed as Standard Webhooks, tried again where that can help."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec
from standardwebhooks import Webhook

from innkeeper.config import FollowUp
from innkeeper.lifecycle.errors import Permanent, Temporary
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import instance_document, transition_document
from innkeeper.outgoing import Answer, Forbidden, Unreachable
from innkeeper.store.outbox import Taken
from innkeeper.store.register import Line

_AGAIN = frozenset({408, 425, 429})
_LONGEST_WAIT_SECONDS = 3600.0


def post(desk: Desk, follow_up: FollowUp, taken: Taken, line: Line | None) -> None:
    """Post a transition. Raises Temporary (no connection, 408, 425, 429, 5xx) or Permanent."""
    work, now = taken.state.work, datetime.now(UTC)
    if work.transition is None or not follow_up.post or not follow_up.secret:
        raise Permanent("the work names no transition, or the follow-up no receiver")
    document = {
        "type": f"instance.{work.transition.name}",
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {
            "transition": transition_document(work.transition),
            "instance": instance_document(line) if line else None,
        },
    }
    body = msgspec.json.encode(document)
    signature = Webhook(follow_up.secret).sign(work.id, now, body.decode())
    headers = {
        "content-type": "application/json",
        "webhook-id": work.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    try:
        answer = desk.outgoing.request(
            "POST",
            follow_up.post,
            headers=headers,
            content=body,
            timeout_seconds=follow_up.timeout,
        )
    except Unreachable as error:
        raise Temporary(message=str(error)) from error
    except Forbidden as error:
        raise Permanent(str(error)) from error
    judge(answer)


def judge(answer: Answer) -> None:
    """Whether an answer means done. Raises Temporary where a later try may help, else Permanent."""
    if 200 <= answer.status < 300:
        return
    if answer.status in _AGAIN or answer.status >= 500:
        raise Temporary(_retry_after(answer), f"answered {answer.status}")
    raise Permanent(f"answered {answer.status}")


def _retry_after(answer: Answer) -> float | None:
    stated = answer.header("retry-after")
    if stated is None:
        return None
    try:
        seconds = float(stated)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS) if seconds == seconds else None
