"""Xurrent's OAuth: from client credentials, the provider's or a customer's, to an access token.

Used by the client. Keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from innkeeper.outgoing import Answer, Outgoing
from innkeeper.platforms.api_answers import judged_plainly, messages_in
from innkeeper.platforms.api_errors import ApiError, Down, Refused
from innkeeper.platforms.calls import Caller
from innkeeper.platforms.sign_in import nothing

_LIVES_SECONDS = 3600.0
_MARGIN_SECONDS = 60.0
_TOKEN = re.compile(r"[!-~]+")
_REFUSALS = ("invalid_client", "invalid_grant", "unauthorized_client", "access_denied")


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def sign_in(
    outgoing: Outgoing,
    oauth_url: str,
    client_id: str,
    client_secret: str,
    now: Callable[[], float],
) -> tuple[str, float]:
    """A token, and for how many seconds it can be used. Raises ApiError."""
    caller = Caller(oauth_url, outgoing, nothing(), _judge, now=now)
    form = {
        "client_id": client_id,
        "client_secret": client_secret,
        "grant_type": "client_credentials",
    }
    document = caller.call("POST", "", form=form, secrets=(client_secret,)).document
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Down("signing in: the answer holds no access_token")
    return token, _usable_seconds(document.get("expires_in"))


def _usable_seconds(stated: Any) -> float:
    lives = _LIVES_SECONDS
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        lives = min(float(stated), 86400.0)
    return lives - min(_MARGIN_SECONDS, lives / 10)


def _judge(answer: Answer, document: Any, now: float, accepted: frozenset[int]) -> ApiError | None:
    """As elsewhere, but OAuth answers 400 to credentials that it does not know."""
    error = document.get("error") if isinstance(document, dict) else None
    if answer.status == 400 and error in _REFUSALS:
        return Refused(f"signing in: {'; '.join(messages_in(document))}", 400)
    return judged_plainly(answer, document, now, accepted)
