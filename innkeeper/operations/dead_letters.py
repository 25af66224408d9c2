"""Dead letters: what failed for good, listed, taken up again or dropped.

Asked by the console's API and the command line.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from innkeeper.bells import BellName
from innkeeper.lifecycle.events import DeliveryId
from innkeeper.operations.desk import Desk
from innkeeper.operations.documents import rfc3339
from innkeeper.operations.questions import (
    Asked,
    BadQuestion,
    Page,
    read_cursor,
    refuse,
    write_cursor,
)
from innkeeper.operations.replay import CannotReplay, replay_delivery
from innkeeper.store.dead_letters import DeadLetter, Subject, position

_CURSOR = tuple[Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)], str]


def list_dead_letters(desk: Desk, asked: Asked) -> Page[DeadLetter]:
    """A page, the newest first. Raises BadQuestion, StoreError, StoreUnavailable."""
    refuse(asked, "fields", "sort")
    if asked.filters:
        raise BadQuestion(f"dead letters have no filter {asked.filters[0][0][:80]!r}")
    before = read_cursor(asked.cursor, _CURSOR) if asked.cursor is not None else None
    found = desk.dead_letters.newest(asked.per_page + 1, before=before)
    page = found[: asked.per_page]
    following = write_cursor(*position(page[-1])) if len(found) > len(page) else None
    return Page(items=page, next=following)


def find_dead_letter(desk: Desk, letter_id: str) -> DeadLetter | None:
    """One by its id; None for what is no id, too."""
    try:
        return desk.dead_letters.find(letter_id)
    except ValueError:
        return None


def requeue(desk: Desk, letter: DeadLetter) -> DeliveryId | None:
    """Take it up again: work from its first attempt, an entry by a replay, whose id is given.

    Raises CannotReplay where it is gone or cannot be taken in, StoreError, StoreUnavailable.
    """
    if letter.subject is Subject.WORK:
        if not desk.outbox.revive(letter, requeue=True):
            raise CannotReplay("the dead letter is gone")
        desk.bells[BellName(letter.bell or BellName.PERFORM)].ring()
        return None
    entry = desk.log.find(letter.delivery)
    if entry is None:
        raise CannotReplay(f"{letter.delivery} is no longer kept")
    appended = replay_delivery(desk, entry)
    # Dropped only now: a replay that was interrupted is found again by its claim.
    desk.dead_letters.drop_entry(letter)
    return appended.delivery


def drop(desk: Desk, letter: DeadLetter) -> bool:
    """Let it go for good; False if it was gone. A lane that it blocked goes on."""
    if letter.subject is Subject.ENTRY:
        return desk.dead_letters.drop_entry(letter)
    dropped = desk.outbox.revive(letter, requeue=False)
    desk.bells[BellName(letter.bell or BellName.PERFORM)].ring()
    return dropped


def letter_document(letter: DeadLetter, *, detail: bool = False) -> dict[str, Any]:
    """A dead letter; with its redacted traceback where `detail` is asked for."""
    document = {
        "id": letter.id,
        "subject": letter.subject,
        "at": rfc3339(letter.at),
        "instance": letter.instance,
        "delivery": letter.delivery,
        "name": letter.name,
        "attempts": letter.attempts,
        "error": letter.error,
    }
    return document | {"detail": letter.detail or None} if detail else document
