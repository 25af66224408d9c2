"""Replays a file over HTTP: posts each captured delivery to a receiver, as its sender did.

The receiver verifies as ever: what was signed is sent as it was, a credential is put on from the
configuration. Waits for each answer before the next, for the order matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from innkeeper.config import App, Config
from innkeeper.lifecycle.errors import Malformed, Rejected
from innkeeper.operations.captured import CapturedLine, ReadLine
from innkeeper.operations.replay import request_of
from innkeeper.operations.replay_lines import Report, captured_of, replay_lines
from innkeeper.operations.resigning import Resigning
from innkeeper.outgoing import Outgoing, Unreachable
from innkeeper.platforms import inbound_of

_TIMEOUT_SECONDS = 30.0
# What belongs to one connection, or to a way that this request does not go.
_NOT_SENT = frozenset(
    {
        "connection", "content-length", "expect", "forwarded", "host", "keep-alive", "te",
        "trailer", "transfer-encoding", "upgrade", "via",
    }
)  # fmt: skip


def post_lines(
    outgoing: Outgoing,
    config: Config,
    lines: Iterable[ReadLine],
    *,
    to: str,
    resigning: Resigning | None = None,
) -> Report:
    """Post each line to the receiver at the URL `to`. Raises Forbidden where http is not allowed.

    200 counts as duplicate, any other 2xx as accepted, 4xx as rejected, the rest as failed.
    """

    def take(line: CapturedLine, number: int) -> tuple[str, str]:
        app = config.app(line.platform, line.app) if line.app else None
        if resigning is not None:
            line = resigning.renew(line, app)
        headers = _headers(line) | _credential(config, line, app)
        try:
            answer = outgoing.request(
                "POST",
                _url(to, line),
                headers=headers,
                content=line.body,
                timeout_seconds=_TIMEOUT_SECONDS,
            )
        except Unreachable as error:
            return "failed", str(error)
        return _judged(answer.status)

    return replay_lines(lines, take)


def _judged(status: int) -> tuple[str, str]:
    if 200 <= status < 300:
        return ("duplicate" if status == 200 else "accepted"), ""
    return ("rejected" if 400 <= status < 500 else "failed"), f"answered {status}"


def _url(to: str, line: CapturedLine) -> str:
    parts = [line.platform, *([line.app] if line.app else [])]
    path = "/".join(quote(part, safe="") for part in parts)
    query = f"?{line.query}" if line.query else ""
    return f"{to.rstrip('/')}/hooks/{path}{query}"


def _headers(line: CapturedLine) -> dict[str, str]:
    return {
        name: value
        for name, value in captured_of(line).headers
        if name not in _NOT_SENT and not name.startswith(("proxy-", "x-forwarded-"))
    }


def _credential(config: Config, line: CapturedLine, app: App | None) -> dict[str, str]:
    """The header with which the marketplace would prove itself to us."""
    inbound = inbound_of(line.platform)
    if inbound is None or (app is None and (line.app or not inbound.ROUTES_WITHOUT_NAME)):
        return {}
    try:
        opened = inbound.open_request(request_of(line.platform, captured_of(line)), app)
        found: dict[str, str] = inbound.credential_of(opened, config.apps)
    except (Malformed, Rejected):
        return {}  # the receiver says what is wrong with it
    return found
