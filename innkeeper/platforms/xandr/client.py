"""Xandr's App Installation service, as the developer of an app: who has installed it.

Used by workers and console. Signs in as rarely as it can: a token is used until the service no
longer knows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from innkeeper.config import XandrApi, XandrApp
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.api_errors import (
    Down,
    Inconsistent,
    Invalid,
    Missing,
    RateLimited,
    Unsupported,
)
from innkeeper.platforms.calls import Caller, Found
from innkeeper.platforms.fields import is_number
from innkeeper.platforms.sign_in import Held, Tokens, nothing, token_name
from innkeeper.platforms.xandr import reading
from innkeeper.platforms.xandr.installations import Document, Installations, judge

_TOKEN = re.compile(r"[!-~]+")
_TOKEN_LIVES_SECONDS = 24 * 3600.0
"""At most; two hours after its last use the service forgets it, and says NOAUTH."""
_SIGN_INS, _SIGN_INS_SECONDS = 10, 300.0


def open_client(
    app: XandrApp, outgoing: Outgoing, tokens: Tokens, *, now: Callable[[], float]
) -> Client:
    """A client for an app that has an API configured; connects to nothing yet."""
    if app.api is None:
        raise ValueError(f"{app.name} has no API configured")
    return Client(app, app.api, outgoing, tokens, now)


class Client:
    """One plugin's installations; see `calls.Client`. `installations`: of all plugins."""

    def __init__(
        self,
        app: XandrApp,
        api: XandrApi,
        outgoing: Outgoing,
        tokens: Tokens,
        now: Callable[[], float],
    ) -> None:
        self._app = app
        self._api = api
        self._tokens = tokens
        self._name = token_name("xandr", api.base_url, api.username)
        signing_in = Caller(api.base_url, outgoing, nothing(), judge, now=now)
        held = Held(
            tokens,
            self._name,
            lambda: self._fetched(signing_in),
            lambda token: {"Authorization": token},  # raw: this service knows no scheme
        )
        self.installations = Installations(Caller(api.base_url, outgoing, held, judge, now=now))

    def instance(self, account: str, object_id: str | None = None) -> Found | None:
        """The installation of `member:238` or `bidder:226`, by its id if that is still there.

        Of several the newest. None: a list that holds together has none.
        """
        document = self._known(object_id) if object_id and is_number(object_id) else None
        if document is not None:
            return self._found(document, account)
        listed = [
            found
            for page in self.installations.pages()
            for found in self._read(page, None)
            if found.account == account
        ]
        return max(listed, key=lambda found: int(found.event.object_id or 0), default=None)

    def instances(self, *, pass_number: int = 0) -> Iterator[list[Found]]:
        """All installations of the plugin, page by page, as pass `pass_number` sees them.

        Raises Inconsistent, and other ApiError.
        """
        for page in self.installations.pages():
            yield self._read(page, pass_number)

    def change(self, account: str, object_id: str | None, fields: Mapping[str, Any]) -> Found:
        """What there is to change is the customer's own word. Raises Unsupported."""
        raise Unsupported("Xandr has no lever of the provider's over an installation")

    def customer_token(self, account: str, secrets: Mapping[str, Any]) -> tuple[str, float]:
        """Raises Unsupported."""
        raise Unsupported("Xandr gives no token to act as a customer")

    def _known(self, object_id: str) -> Document | None:
        """The installation of that id; None where the list has to tell.

        How the service speaks of an id that is gone is not documented.
        """
        try:
            return self.installations.one(object_id)
        except (Missing, Invalid):
            return None

    def _found(self, document: Document, account: str) -> Found:
        try:
            found = reading.found(document, self._app)
        except ValueError as error:
            raise Down(f"the installation that was asked for: {error}") from None
        if found is None or found.account != account:
            raise Inconsistent(f"what was found by its id is none of {account}")
        return found

    def _read(self, page: list[Document], pass_number: int | None) -> list[Found]:
        try:
            found = [reading.found(document, self._app, pass_number) for document in page]
        except ValueError as error:
            raise Inconsistent(f"an element of the list: {error}") from None
        return [each for each in found if each is not None]

    def _fetched(self, signing_in: Caller) -> tuple[str, float]:
        """Sign in, unless that would be too often for the service."""
        made = self._tokens.attempts(self._name, per_seconds=_SIGN_INS_SECONDS, at_most=_SIGN_INS)
        if made > _SIGN_INS:
            raise RateLimited(
                f"signed in {_SIGN_INS} times within {_SIGN_INS_SECONDS:g} s",
                delay_seconds=_SIGN_INS_SECONDS / _SIGN_INS,
            )
        username, password = self._api.username, self._api.password
        reply = signing_in.call(
            "POST",
            "/auth",
            document={"auth": {"username": username, "password": password}},
            secrets=(password, username),
        )
        response = reply.document.get("response") if isinstance(reply.document, dict) else None
        token = response.get("token") if isinstance(response, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Down("signing in: the answer holds no token")
        return token, _TOKEN_LIVES_SECONDS
