"""What an answer of a marketplace's API means: done, or which error, with its own messages.

Pure. Used by `Caller` and by the marketplaces' own judges, which know their API's habits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import msgspec

from innkeeper.outgoing import Answer
from innkeeper.platforms.api_errors import (
    ApiError,
    Down,
    Invalid,
    Missing,
    RateLimited,
    Refused,
)
from innkeeper.platforms.jws import strict_json
from innkeeper.quoting import ways_of_writing

Judge = Callable[[Answer, Any, float, frozenset[int]], ApiError | None]
"""Of an answer, its JSON (None where it has none), the time and the statuses that count as done
beside 2xx: what is wrong with it; None where nothing is."""

DEFAULT_DELAY_SECONDS = 30.0
MAX_DELAY_SECONDS = 3600.0
_EPOCH_FROM = 1e9
"""No delay is as long as this; what is greater is a time."""
_MAX_MESSAGES = 50
_MAX_FAULT_CHARACTERS = 500
_MAX_MESSAGE_CHARACTERS = 2000
_ITEMS = ("errors", "invalidFields")
_NAMES = ("message", "title", "detail", "error", "error_description", *_ITEMS)
_FAULTY = (400, 409, 422)


def decoded(body: bytes) -> tuple[Any, bool]:
    """The JSON of a body, and whether it is any; an empty body is None, and no fault."""
    if not body.strip():
        return None, True
    try:
        document = strict_json(body)
        if b"\\ud" in body.lower():
            msgspec.json.encode(document)  # lone surrogates: no store of ours could hold them
        return document, True
    except ValueError:
        return None, False


def judged(
    answer: Answer, document: Any, accepted: Collection[int], delay_seconds: float | None
) -> ApiError | None:
    """What the status says. `delay_seconds`: when to come back, as the answer states it."""
    status = answer.status
    if 200 <= status < 300 or status in accepted:
        return None
    said = messages_in(document) or (f"answered {status}",)
    text = f"{status}: {'; '.join(said)}" if document is not None else said[0]
    if status in (401, 403):
        return Refused(text, status, renewable=status == 401)
    if status == 404:
        return Missing(text, status)
    if status == 429 or (status == 503 and delay_seconds is not None):
        return RateLimited(text, status, delay_seconds=delay_seconds or DEFAULT_DELAY_SECONDS)
    if status in _FAULTY:
        return Invalid(said, status)
    if status >= 500 or status < 400 or status == 408:
        return Down(text, status)
    return ApiError(text, status)


def judged_plainly(
    answer: Answer, document: Any, now: float, accepted: frozenset[int]
) -> ApiError | None:
    """The judge of an API without habits of its own: the status, and `Retry-After`."""
    return judged(answer, document, accepted, delay_in(answer.header("retry-after"), now))


def delay_in(value: str | None, now: float) -> float | None:
    """The seconds to wait: stated as seconds, as an epoch or as a date. None: not stated.

    At least 1 and at most an hour: whoever names next year is asked again before.
    """
    if value is None:
        return None
    seconds = _stated_seconds(value.strip(), now)
    if seconds is None or seconds != seconds:
        return DEFAULT_DELAY_SECONDS
    return min(max(seconds, 1.0), MAX_DELAY_SECONDS)


def _stated_seconds(value: str, now: float) -> float | None:
    try:
        number = float(value)
        return number - now if number >= _EPOCH_FROM else number
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None


def messages_in(document: Any) -> tuple[str, ...]:
    """The messages of an error document, all of them, each once.

    Not a summary that only repeats what is told item by item.
    """
    said = document if isinstance(document, dict) else {}
    items = _once(_texts({name: said[name] for name in _ITEMS if name in said}, ""))
    everything = _once(_texts(document, ""))
    repeats = [text for text in everything if items and all(item in text for item in items)]
    return tuple(text for text in everything if text in items or text not in repeats)


def _once(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(text.split()) for text in islice(texts, _MAX_MESSAGES)))


def _texts(value: Any, field: str, depth: int = 0) -> Iterator[str]:
    """Texts as they occur: alone, in lists, by field, or as objects that name their field."""
    prefix = f"{field}: " if field else ""
    if isinstance(value, str) and value.strip():
        yield prefix + value
    elif isinstance(value, list) and depth < 5:
        for each in value:
            yield from _texts(each, field, depth + 1)
    elif isinstance(value, dict) and depth < 5:
        yield from _texts_by_name(value, field, depth)


def _texts_by_name(value: dict[str, Any], field: str, depth: int) -> Iterator[str]:
    named = value.get("field", value.get("attribute"))
    inner = named if isinstance(named, str) else field
    known = [name for name in _NAMES if name in value]
    for name in known:
        yield from _texts(value[name], inner, depth + 1)
    if not known and depth:
        for name, each in value.items():
            yield from _texts(each, name, depth + 1)


def without(error: ApiError, host: str, secrets: Collection[str]) -> ApiError:
    """The error, bounded, naming the host, and with `…` for each of the secrets that it quotes.

    However it quotes them: what was sent in a form or in JSON may come back as it was sent.
    """
    written = {way for secret in secrets for way in ways_of_writing(secret) if way}

    def told(text: str, most: int) -> str:
        # Secrets first: one that is cut in two would no longer be found. Of several ways to write
        # it the longest, for one may stand within another.
        for way in sorted(written, key=len, reverse=True):
            text = text.replace(way, "…")
        return text if len(text) <= most else f"{text[:most]}…"

    if isinstance(error, Invalid):
        error.faults = tuple(told(fault, _MAX_FAULT_CHARACTERS) for fault in error.faults)
        error.message = "; ".join(error.faults)
    else:
        error.message = f"{host}: {told(error.message, _MAX_MESSAGE_CHARACTERS)}"
    error.args = (error.message,)
    return error
