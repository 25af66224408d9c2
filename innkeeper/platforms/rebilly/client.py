"""Rebilly's REST API, as the owner of an application: its instances, and their configuration.

Used by workers and console. Fresh tokens come with each read of an instance and are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from innkeeper.config import RebillyApi, RebillyApp
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.api_errors import Down, Inconsistent, Missing, Unsupported
from innkeeper.platforms.calls import Caller, Found, Reply, segment
from innkeeper.platforms.rebilly import reading
from innkeeper.platforms.rebilly.resources import (
    Applications,
    Document,
    Webhooks,
    judge,
    object_of,
    organization_url,
    pages,
)
from innkeeper.platforms.rebilly.values import RESOURCE_ID
from innkeeper.platforms.sign_in import Key, Tokens

_TOKEN_LIVES_SECONDS = 3600.0
_TOKEN = re.compile(r"[!-~]+")


def open_client(
    app: RebillyApp, outgoing: Outgoing, tokens: Tokens, *, now: Callable[[], float]
) -> Client:
    """A client for an app that has an API configured; connects to nothing yet."""
    if app.api is None:
        raise ValueError(f"{app.name} has no API configured")
    return Client(app, app.api, outgoing, now)


class Client:
    """One application's instances; see `calls.Client`.

    `applications` (`offerings` by another name), `webhooks`: all of the owner's organization.
    """

    def __init__(
        self, app: RebillyApp, api: RebillyApi, outgoing: Outgoing, now: Callable[[], float]
    ) -> None:
        self._app = app
        self._outgoing = outgoing
        self._now = now
        key = Key(api.api_key, lambda secret: {"REB-APIKEY": secret})
        self._caller = Caller(api.base_url, outgoing, key, judge, now=now)
        self._instances = f"/applications/{segment(app.reference)}/instances"
        self.applications = self.offerings = Applications(self._caller)
        self.webhooks = Webhooks(self._caller)

    def instance(self, account: str, object_id: str | None = None) -> Found | None:
        """The instance of an organization; there is no `object_id` here."""
        reply = self._read(account)
        if reply is None:
            return None
        try:
            return reading.found(reply.document, self._app, account)
        except ValueError as error:
            raise Down(f"the instance of {account}: {error}") from None

    def instances(self, *, pass_number: int = 0) -> Iterator[list[Found]]:
        """All instances, page by page, within the API's reach. Raises Inconsistent, as beyond it.

        Whether disabled instances are among them nobody knows.
        """
        for page in pages(self._caller, self._instances, "organizationId"):
            try:
                found = [reading.found(document, self._app) for document in page]
            except ValueError as error:
                raise Inconsistent(f"an element of the list: {error}") from None
            yield found

    def change(self, account: str, object_id: str | None, fields: Mapping[str, Any]) -> Found:
        """An owner has no lever. Raises Unsupported."""
        raise Unsupported("Rebilly lets an owner change nothing of an instance")

    def customer_token(self, account: str, secrets: Mapping[str, Any]) -> tuple[str, float]:
        """A fresh token to act as that organization; `secrets` holds none. Raises Missing."""
        reply = self._read(account)
        if reply is None:
            raise Missing(f"{account} has no instance", 404)
        token = object_of(reply).get("token")
        if token is None:
            raise Unsupported(f"the instance of {account} comes without a token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Down(f"the token of {account} is none")
        return token, _TOKEN_LIVES_SECONDS

    def configuration(self, account: str) -> Document:
        """How that organization has configured the application; may hold its secrets."""
        return self._configuration(account, "GET")

    def configure(self, account: str, settings: Mapping[str, Any]) -> Document:
        """Put a configuration, which ends *enabling* where the application configures itself."""
        return self._configuration(account, "PUT", document=settings)

    def _configuration(self, account: str, method: str, **body: Any) -> Document:
        token, _ = self.customer_token(account, {})
        path = f"/application-instances/{segment(self._app.reference)}/configuration"
        document = self._merchant(account, token).call(method, path, **body).document
        return document if isinstance(document, dict) else {}

    def _merchant(self, account: str, token: str) -> Caller:
        """Calls as that organization, under its own path."""
        return Caller(
            organization_url(self._caller.base_url, account),
            self._outgoing,
            Key(token, lambda secret: {"Authorization": f"Bearer {secret}"}),
            judge,
            now=self._now,
        )

    def _read(self, account: str) -> Reply | None:
        """The answer about an instance; None where there is none of this application."""
        if not RESOURCE_ID.match(account):
            return None
        try:
            return self._caller.call("GET", f"{self._instances}/{segment(account)}")
        except Missing:
            pass
        # A wrong base URL or application answers the same: only beside a list that is there does
        # it mean that the instance is not.
        try:
            self._caller.call("GET", self._instances, {"limit": 1, "offset": 0})
        except Missing as error:
            raise Down(f"the application itself is not there: {error}", 404) from None
        return None
