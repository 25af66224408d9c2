"""Xurrent's REST API, as the provider of an app: its instances, and what `connect` needs.

Used by workers and console. R-Service is the same API under another domain. Old hosts know app
instances as integration instances: whichever list is there is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from innkeeper.config import XurrentApi, XurrentApp
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.api_answers import judged_plainly
from innkeeper.platforms.api_errors import Down, Inconsistent, Invalid, Missing, Unsupported
from innkeeper.platforms.calls import Caller, Found, Reply, segment
from innkeeper.platforms.fields import Field, Form, faults_of, is_number
from innkeeper.platforms.sign_in import Held, Key, SignIn, Tokens, token_name
from innkeeper.platforms.xurrent import oauth, reading
from innkeeper.platforms.xurrent.paging import pages
from innkeeper.platforms.xurrent.resources import Offerings, Resource, Webhooks, check_query

INSTANCE_FIELDS: Mapping[str, Field] = {
    "custom_fields": Field(form=Form.CUSTOM_FIELDS),
    "customer_representative": Field(form=Form.REFERENCE, required=True),
    "disabled": Field(form=Form.FLAG),
    "enabled_by_customer": Field(form=Form.FLAG),
    "suspended": Field(form=Form.FLAG),
    "suspension_comment": Field(max_bytes=64 * 1024),
}
INSTANCE_READ_ONLY = (
    "app_offering", "attachments", "created_at", "customer_account", "id", "nodeID", "updated_at",
    "webhook", "webhook_policy",
)  # fmt: skip
INSTANCE_FILTERS = ("id", "created_at", "updated_at", "disabled")
INSTANCE_SORTS = ("id", "created_at", "updated_at")
SHOWN = (
    "id", "nodeID", "app_offering", "customer_account", "customer_representative", "disabled",
    "enabled_by_customer", "suspended", "suspension_comment", "custom_fields", "created_at",
    "updated_at",
)  # fmt: skip
_VIEWS = (None, "enabled", "disabled")


class _Words(msgspec.Struct, frozen=True):
    """A vocabulary: the list's name, and its word for an app offering."""

    instances: str
    offering: str


_PRESENT = _Words("app_instances", "app_offering")
_OLD = _Words("integration_instances", "integration")


def open_client(
    app: XurrentApp, outgoing: Outgoing, tokens: Tokens, *, now: Callable[[], float]
) -> Client:
    """A client for an app that has an API configured; connects to nothing yet."""
    if app.api is None:
        raise ValueError(f"{app.name} has no API configured")
    return Client(app, app.api, outgoing, tokens, now)


class Client:
    """One app's view of the provider's account; see `calls.Client`.

    `offerings`, `webhooks`, `webhook_policies`: all of the account's.
    """

    def __init__(
        self,
        app: XurrentApp,
        api: XurrentApi,
        outgoing: Outgoing,
        tokens: Tokens,
        now: Callable[[], float],
    ) -> None:
        self._app = app
        self._api = api
        self._outgoing = outgoing
        self._now = now
        self._words = _PRESENT
        self._caller = Caller(
            api.base_url,
            outgoing,
            self._sign_in(tokens),
            judged_plainly,
            now=now,
            headers={"X-Xurrent-Account": app.account, "X-4me-Account": app.account},
        )
        self.offerings = Offerings(self._caller)
        self.webhooks = Webhooks(self._caller)
        self.webhook_policies = Resource(self._caller, "/webhook_policies")

    def instance(self, account: str, object_id: str | None = None) -> Found | None:
        """The instance of a customer, by the marketplace's id if that is known.

        Without one the whole list is read, for the API finds by its own ids alone. None for an id
        that is gone: an installation made anew since has another one, which `instances` shows.
        """
        if object_id is None or not is_number(object_id):
            listed = (found for page in self.instances() for found in page)
            return next((found for found in listed if found.account == account), None)
        reply = self._on_one("GET", object_id)
        return None if reply is None else self._found(reply, account)

    def instances(self, *, pass_number: int = 0) -> Iterator[list[Found]]:
        """All instances of the app, page by page. Raises Inconsistent, and other ApiError."""
        for page in self.documents():
            try:
                found = [reading.found(document, self._app) for document in page]
            except ValueError as error:
                raise Inconsistent(f"an element of the list: {error}") from None
            yield [each for each in found if each is not None]

    def documents(
        self,
        view: str | None = None,
        *,
        fields: Sequence[str] = SHOWN,
        filters: Mapping[str, str] | None = None,
        sort: str = "id",
        per_page: int = 100,
    ) -> Iterator[list[dict[str, Any]]]:
        """The account's instances of all its offerings, as the API shows them.

        `view`: `enabled` or `disabled`. `filters`: the operator is part of the value
        (`updated_at`: `>=2026-01-15T23:00:00Z`). Raises Invalid, and as `instances` does.
        """
        if view not in _VIEWS:
            raise Invalid((f"{view}: is no predefined filter of this list",))
        asked: dict[str, str | int] = {**(filters or {}), "sort": sort, "per_page": per_page}
        check_query(asked, INSTANCE_FILTERS, INSTANCE_SORTS)
        for words in (self._words, _OLD if self._words is _PRESENT else _PRESENT):
            shown = ",".join(words.offering if name == "app_offering" else name for name in fields)
            path = f"/{words.instances}/{view}" if view else f"/{words.instances}"
            listing = pages(self._caller, path, {**asked, "fields": shown})
            try:
                first = next(listing)
            except Missing:
                continue
            self._words = words
            yield first
            yield from listing
            return
        raise Down("there are neither app_instances nor integration_instances", 404)

    def change(self, account: str, object_id: str | None, fields: Mapping[str, Any]) -> Found:
        """Change fields of an instance; what it is now. Raises Invalid with all faults, Missing."""
        faults = faults_of(fields, INSTANCE_FIELDS, creating=False, read_only=INSTANCE_READ_ONLY)
        if faults:
            raise Invalid(faults)
        if object_id is None:
            known = self.instance(account)
            object_id = known.event.object_id if known else None
        reply = None if object_id is None else self._on_one("PATCH", object_id, fields)
        if reply is None:
            raise Missing(f"{account} has no instance", 404)
        return self._found(reply, account)

    def customer_token(self, account: str, secrets: Mapping[str, Any]) -> tuple[str, float]:
        """A token of the customer's OAuth application, which secrets-updates have brought."""
        client_id = secrets.get("application.client_id")
        client_secret = secrets.get("application.client_secret")
        if not isinstance(client_id, str) or not isinstance(client_secret, str):
            raise Unsupported(f"no OAuth application of {account} is known")
        return oauth.sign_in(
            self._outgoing, self._api.oauth_url, client_id, client_secret, self._now
        )

    def _sign_in(self, tokens: Tokens) -> SignIn:
        api = self._api
        if api.token is not None:
            return Key(api.token, oauth.bearer)
        client_id, client_secret = api.client_id or "", api.client_secret or ""
        return Held(
            tokens,
            token_name("xurrent", api.oauth_url, self._app.account, client_id),
            lambda: oauth.sign_in(
                self._outgoing, api.oauth_url, client_id, client_secret, self._now
            ),
            oauth.bearer,
        )

    def _on_one(self, method: str, object_id: str, document: Any = UNSET) -> Reply | None:
        """Call one by its id; None where the list is there and that one is not."""
        for _ in range(2):
            words = self._words
            path = f"/{words.instances}/{segment(object_id)}"
            try:
                return self._caller.call(method, path, document=document)
            except Missing:
                # A host that knows no such path answers the same: only beside a list that is
                # there does it mean that the instance is not.
                next(self.documents(fields=("id",), per_page=1))
            if self._words is words:
                return None
        return None

    def _found(self, reply: Reply, account: str) -> Found:
        """One that was asked for by its id: it has to be that customer's, and of this app."""
        try:
            found = reading.found(reply.document, self._app)
        except ValueError as error:
            raise Down(f"the app instance that was asked for: {error}") from None
        if found is None or found.account != account:
            raise Inconsistent(f"what was found by its id is no instance of {account} of this app")
        return found
