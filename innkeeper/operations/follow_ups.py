"""The configured follow-ups, and what is unfinished of them. Asked by operators."""

from __future__ import annotations

from typing import Any

from innkeeper.config import Config


def follow_ups_document(config: Config) -> list[dict[str, Any]]:
    """Each in the order of the configuration; never the secret that signs it."""
    return [
        {
            "name": one.name,
            "on": list(one.on),
            "platform": one.platform,
            "app": one.app,
            "call": one.call,
            "post": one.post,
            "timeout_seconds": one.timeout,
            "on_failure": one.on_failure,
        }
        for one in config.follow_ups
    ]
