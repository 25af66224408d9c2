"""`context.api`: an HTTP client of a follow-up's own, signed in to its customer's account.

Made by `calling` for the vendor's functions. Signs in with its first call and once more where its
token is refused; calls the marketplace's host and no other. Shows no token to anybody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.acting import customer_token
from innkeeper.operations.desk import Desk
from innkeeper.outgoing import Answer
from innkeeper.platforms import acting_of
from innkeeper.platforms.api_errors import ApiError, Down, RateLimited, Refused
from innkeeper.platforms.calls import Caller, Reply
from innkeeper.platforms.customer_site import CustomerSite

_RESERVED = frozenset({"authorization", "cookie", "host"})


class Response:
    """An answer of the customer's account, whatever its status but 401, 429 and 5xx."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._reply.answer.status

    def json(self) -> Any:
        """The body; None where it is empty."""
        return self._reply.document

    def header(self, name: str) -> str | None:
        """The first header of that name, in whatever case."""
        return self._reply.answer.header(name)

    def __repr__(self) -> str:
        return f"Response({self.status})"


class CustomerApi:
    """Calls a customer's account. Not caught, RateLimited and Down make a follow-up Temporary."""

    def __init__(self, desk: Desk, key: InstanceKey, site: CustomerSite) -> None:
        self._key = key
        self._site = site
        self._caller = Caller(
            site.base_url,
            desk.outgoing,
            _CustomerSignIn(desk, key),
            self._judge,
            now=time.time,
            headers=site.headers,
        )

    def request(
        self, method: str, path: str, *, json: Any = UNSET, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Call `path`, which begins with `/` and is put behind the account's base URL.

        A whole link of that same base URL does as well. `json`: the body. Raises ValueError for
        another place or a header of ours, Refused, RateLimited, Down, Unsupported.
        """
        path = path.removeprefix(self._site.base_url)
        if not path.startswith("/"):
            raise ValueError(f"the path has to begin with / or with {self._site.base_url}")
        ours = {*_RESERVED, *(name.lower() for name in self._site.headers)}
        for name in headers or {}:
            if name.lower() in ours:
                raise ValueError(f"the header {name} is set by context.api itself")
        return Response(self._caller.call(method, path, document=json, headers=headers))

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """See `request`."""
        return self.request("GET", path, headers=headers)

    def post(
        self, path: str, *, json: Any = UNSET, headers: Mapping[str, str] | None = None
    ) -> Response:
        """See `request`."""
        return self.request("POST", path, json=json, headers=headers)

    def patch(
        self, path: str, *, json: Any = UNSET, headers: Mapping[str, str] | None = None
    ) -> Response:
        """See `request`."""
        return self.request("PATCH", path, json=json, headers=headers)

    def put(
        self, path: str, *, json: Any = UNSET, headers: Mapping[str, str] | None = None
    ) -> Response:
        """See `request`."""
        return self.request("PUT", path, json=json, headers=headers)

    def delete(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """See `request`."""
        return self.request("DELETE", path, headers=headers)

    def __repr__(self) -> str:
        return f"CustomerApi({str(self._key)!r})"

    def _judge(
        self, answer: Answer, document: Any, now: float, accepted: frozenset[int]
    ) -> ApiError | None:
        """What the vendor's function cannot judge itself; all else is an answer to it."""
        wrong = self._site.judge(answer, document, now, accepted)
        if isinstance(wrong, Refused):
            return wrong if wrong.renewable else None
        return wrong if isinstance(wrong, RateLimited | Down) else None


class _CustomerSignIn:
    """The customer's token, shared by all processes."""

    def __init__(self, desk: Desk, key: InstanceKey) -> None:
        self._desk = desk
        self._key = key

    def current(self) -> str:
        """The token that is held, or a fresh one."""
        return customer_token(self._desk, self._key).token

    def instead_of(self, refused: str) -> str | None:
        """Another token; None where the fresh one is the same."""
        fresh = customer_token(self._desk, self._key, refused=refused).token
        return None if fresh == refused else fresh

    def headers(self, secret: str) -> Mapping[str, str]:
        """The header that carries it."""
        return {"Authorization": f"Bearer {secret}"}


def customer_api(desk: Desk, key: InstanceKey) -> CustomerApi | None:
    """A client for the customer's account; None where there is no such thing."""
    app = desk.config.app(key.platform, key.app)
    if app is None or key.is_pseudo:
        return None
    site = acting_of(key.platform).customer_site(app, key.account)
    return CustomerApi(desk, key, site) if site else None
