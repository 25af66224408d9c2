"""What `up` says when everything is ready: where to post, where to look, where things are kept.

Paths only: the keys and the token themselves are never shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from innkeeper.config import Config


def announcement(config: Config) -> str:
    """The lines for people that follow a start."""
    return "\n".join(_lines(config))


def _lines(config: Config) -> Iterator[str]:
    yield "Innkeeper is up."
    yield from _hooks(config)
    yield f"  console   http://{config.console.bind.reached_at}"
    yield f"  data      {config.data}"
    yield f"  keys      {_kept(config, 'INNKEEPER_SECRET_KEYS', 'secret-keys')}"
    yield f"  token     {_kept(config, 'INNKEEPER_API_TOKEN', 'api-token')}"
    if config.source is not None:
        yield f"  config    {config.source}"
    else:
        yield "  config    no configuration found: looked at ./innkeeper.toml and INNKEEPER_CONFIG."
        yield "            No app is served. Begin with: cp innkeeper.example.toml innkeeper.toml"
    yield "Ctrl-C stops all of it."


def _hooks(config: Config) -> Iterator[str]:
    origin = config.receiver.public_url or f"http://{config.receiver.bind.reached_at}"
    if not config.apps:
        yield f"  receiver  {origin}"
    for app in config.apps:
        if app.platform != "xandr":  # polled, it posts nothing
            yield f"  receiver  {origin.rstrip('/')}/hooks/{app.platform}/{app.name}"


def _kept(config: Config, variable: str, file_name: str) -> str:
    return variable if os.environ.get(variable) else str(config.data / file_name)
