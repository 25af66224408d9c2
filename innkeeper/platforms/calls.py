"""One call to a marketplace's REST API: signed in, bounded, its answer decoded or a typed error.

What the three clients share, and what they give. Sleeps never: whoever is told to wait comes back
later. Must not know which marketplace it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from innkeeper.lifecycle.events import Event
from innkeeper.outgoing import Answer, Forbidden, Outgoing, Unreachable
from innkeeper.platforms.api_answers import Judge, decoded, without
from innkeeper.platforms.api_errors import Down, Inconsistent, Refused
from innkeeper.platforms.sign_in import SignIn

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 4 << 20
Query = Mapping[str, str | int]
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its marketplace shows it; of the configured app.

    `event`: STATED, of type `read`; `secrets` only where the API shows the customer's settings.
    """

    account: str
    event: Event


class Client(Protocol):
    """What every marketplace's client can do. All of it raises ApiError, StoreUnavailable."""

    def instance(self, account: str, object_id: str | None = None) -> Found | None:
        """The instance of a customer; None: the marketplace says that there is none."""
        ...

    def instances(self, *, pass_number: int = 0) -> Iterator[list[Found]]:
        """All instances, page by page. Raises Inconsistent: what was given may not be all."""
        ...

    def change(self, account: str, object_id: str | None, fields: Mapping[str, Any]) -> Found:
        """Change an instance. Raises Invalid with all faults; Unsupported without such a lever."""
        ...

    def customer_token(self, account: str, secrets: Mapping[str, Any]) -> tuple[str, float]:
        """A fresh token to act as that customer, and the seconds that it lives.

        `secrets`: the customer's, by name. Raises Unsupported.
        """
        ...


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that counts as done. `document`: its JSON; None where the body is empty."""

    answer: Answer
    document: Any

    def __repr__(self) -> str:
        return f"Reply({self.answer!r})"


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    url: str
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    accepted: frozenset[int] = frozenset()
    secrets: tuple[str, ...] = ()
    max_answer_bytes: int = MAX_ANSWER_BYTES


class Caller:
    """Calls one API. `judge` reads what its answers mean; `headers` go with every call."""

    def __init__(
        self,
        base_url: str,
        outgoing: Outgoing,
        sign_in: SignIn,
        judge: Judge,
        *,
        now: Callable[[], float],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url
        self._outgoing = outgoing
        self._sign_in = sign_in
        self._judge = judge
        self._now = now
        self._headers = dict(headers or {})
        self._origin = _origin(base_url)

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        document: Any = UNSET,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accepted: Collection[int] = (),
        secrets: Collection[str] = (),
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> Reply:
        """Make a call; `path` is put behind the base URL. Raises ApiError.

        `document` or `form`: the body. `headers`: of this call alone. `accepted`:
        statuses that count as done beside 2xx.
        `secrets`: never to be repeated in a message, should the marketplace quote them.
        """
        content, of_body = _body(document, form)
        return self._signed_in(
            _Request(
                method=method,
                url=self.base_url + path + (f"?{urlencode(query)}" if query else ""),
                headers={**of_body, **(headers or {})},
                content=content,
                accepted=frozenset(accepted),
                secrets=tuple(secrets),
                max_answer_bytes=max_answer_bytes,
            )
        )

    def follow(self, link: str) -> Reply:
        """GET what an answer's link points to. Raises Inconsistent where it leads elsewhere."""
        try:
            url = urljoin(f"{self.base_url}/", link)
            leads_elsewhere = _origin(url) != self._origin
        except ValueError:
            leads_elsewhere = True
        if leads_elsewhere:
            raise Inconsistent(f"{self._origin[1]}: the next page lies on another host")
        return self._signed_in(_Request(method="GET", url=url))

    def _signed_in(self, request: _Request) -> Reply:
        """Try with the current secret, and once more with another one if that is refused."""
        secret = self._sign_in.current()
        try:
            return self._attempt(request, secret)
        except Refused as error:
            other = self._sign_in.instead_of(secret) if error.renewable else None
            if other is None:
                raise
        return self._attempt(request, other)

    def _attempt(self, request: _Request, secret: str) -> Reply:
        host = self._origin[1]
        headers = {"Accept": "application/json", **self._headers, **request.headers}
        try:
            answer = self._outgoing.request(
                request.method,
                request.url,
                headers={**headers, **self._sign_in.headers(secret)},
                content=request.content,
                only_host=f"{host}:{self._origin[2]}",
                timeout_seconds=TIMEOUT_SECONDS,
                max_answer_bytes=request.max_answer_bytes,
            )
        except (Unreachable, Forbidden) as error:
            raise Down(str(error)) from None
        document, is_json = decoded(answer.body)
        wrong = self._judge(answer, document, self._now(), request.accepted)
        if wrong is None and not is_json:
            wrong = Down(f"answered {answer.status} with what is no JSON", answer.status)
        if wrong is not None:
            raise without(wrong, host, (secret, *request.secrets))
        return Reply(answer=answer, document=document)


def segment(text: str) -> str:
    """A name as one segment of a path."""
    return quote(text, safe="")


def _body(
    document: Any | UnsetType, form: Mapping[str, str] | None
) -> tuple[bytes | None, dict[str, str]]:
    if form is not None:
        return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    if document is UNSET:
        return None, {}
    return msgspec.json.encode(document), {"Content-Type": "application/json"}


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host as it stands in a URL, and port. Raises ValueError."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        host = host.rpartition(":")[0]
    return parts.scheme, host.lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
