"""In which ways a text is written where others quote it: what has to be looked for to take it out.

Used wherever secrets are taken out of what people will read. Pure; knows no secret's place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import msgspec


def ways_of_writing(text: str) -> set[str]:
    """As it is, and as JSON, Python, a URL or a form writes it; twice over, as JSON in a URL."""
    return {twice for once in _ways(text) for twice in _ways(once)}


def _ways(text: str) -> Iterator[str]:
    yield text
    yield " ".join(text.split())
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    try:
        yield msgspec.json.encode(text).decode()[1:-1]
        yield quote(text, safe="")
        yield quote(text)
        yield quote_plus(text)
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 can hold
        return
