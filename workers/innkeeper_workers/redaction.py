"""Takes secrets out of texts that people will read: errors and tracebacks of dead letters."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any

from innkeeper.config import Config
from innkeeper.quoting import ways_of_writing

REDACTED = "[redacted]"
_MAX_CHARACTERS = 16_000
_SHORTEST = 4
"""A value shorter than this occurs everywhere; taking it out would say more than leaving it."""
_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)"
    r"|whsec_[A-Za-z0-9+/=_-]+"
    r"|(?i:bearer|basic) +[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    re.DOTALL,
)


def redacted(text: str, config: Config, secrets: Any = None) -> str:
    """`text` without the configuration's secrets, those of an instance, and what looks like one.

    `secrets`: any JSON value; every text in it is taken out. The end is kept of what is too long.
    """
    values = {*_texts(secrets), *_texts(list(_configured(config)))}
    for value in sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True):
        text = text.replace(value, REDACTED)
    return _SHAPES.sub(REDACTED, text)[-_MAX_CHARACTERS:]


def _configured(config: Config) -> Iterator[str]:
    yield from config.api_tokens
    yield from (base64.b64encode(key).decode() for key in config.secret_keys)
    if config.secrets_token:
        yield config.secrets_token
    for follow_up in config.follow_ups:
        if follow_up.secret:
            yield follow_up.secret
    for app in config.apps:
        for part in (getattr(app, "api", None), getattr(app, "credential", None)):
            hidden: Iterable[str] = getattr(part, "hidden", ())
            yield from (value for name in hidden if (value := getattr(part, name)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from ways_of_writing(value)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
