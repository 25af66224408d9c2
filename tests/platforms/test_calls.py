"""One call to an API: what becomes of every kind of answer, and what no message ever holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import pytest

from innkeeper.outgoing import Outgoing
from innkeeper.platforms.api_answers import judged_plainly
from innkeeper.platforms.api_errors import (
    ApiError,
    Down,
    Inconsistent,
    Invalid,
    Missing,
    RateLimited,
    Refused,
)
from innkeeper.platforms.calls import MAX_ANSWER_BYTES, Caller
from innkeeper.platforms.sign_in import Held, Key, SignIn
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.tokens import Tokens
from tests.platforms.apis import NOW, Api, html, said
from tests.sites import reply

SECRET = "canary-7f3a"


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def caller_of(api: Api, sign_in: SignIn | None = None) -> Caller:
    """Calls the API with a fixed token, or as told."""
    return Caller(
        f"{api.url}/v1", Outgoing(), sign_in or Key(SECRET, bearer), judged_plainly, now=lambda: NOW
    )


def error_of(api: Api, answer: Any, **how: Any) -> ApiError:
    """What a call raises that gets this answer."""
    api.answers("/v1/things", answer)
    with pytest.raises(ApiError) as caught:
        caller_of(api).call("POST", "/things", **how)
    return caught.value


def test_a_call(api: Api):
    """A call carries its credential, its query and its body as JSON, and gives the JSON back."""
    api.answers("/v1/things", said({"id": 7}, "201 Created"))
    made = caller_of(api).call("POST", "/things", {"a": ">=1&b"}, document={"name": "é"})
    assert made.document == {"id": 7}
    request = api.requests[0]
    assert (request.method, request.query) == ("POST", {"a": ">=1&b"})
    assert request.document == {"name": "é"}
    assert f"Bearer {SECRET}" == request.headers["authorization"]
    assert request.headers["content-type"] == "application/json"


def test_an_empty_answer(api: Api):
    """204 is done, and holds no document."""
    api.answers("/v1/things", reply("204 No Content"))
    assert caller_of(api).call("DELETE", "/things").document is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said({"message": "no"}, "401 Unauthorized"), Refused),
        (said({"message": "no"}, "403 Forbidden"), Refused),
        (said({"message": "no"}, "404 Not Found"), Missing),
        (html("404 Not Found"), Missing),
        (said({"message": "no"}, "429 Too Many Requests"), RateLimited),
        (said({"message": "no"}, "503 Service Unavailable", "Retry-After: 7"), RateLimited),
        (said({"message": "no"}, "503 Service Unavailable"), Down),
        (said({"message": "no"}, "500 Internal Server Error"), Down),
        (html("502 Bad Gateway"), Down),
        (said({"message": "no"}, "400 Bad Request"), Invalid),
        (said({"message": "no"}, "409 Conflict"), Invalid),
        (said({"message": "no"}, "422 Unprocessable Entity"), Invalid),
        (said({}, "302 Found", "Location: http://127.0.0.1:1/"), Down),
        (html(), Down),
        (reply("200 OK", b'{"a": 1, "a": 2}'), Down),
        (reply("200 OK", b'{"a": "\\ud800"}'), Down),
        (reply("200 OK", b"[" * 100_000), Down),
        (reply("200 OK", b"\xff\xfe"), Down),
        (reply("200 OK", b"{}", f"Content-Length: {MAX_ANSWER_BYTES + 1}"), Down),
        (reply("200 OK", b'{"a": ', "Content-Length: 600"), Down),
        (lambda connection: connection.close(), Down),
    ],
)
def test_errors(api: Api, answer: Any, kind: type[ApiError]):
    """Each answer that is not done becomes its one kind of error."""
    assert type(error_of(api, answer)) is kind


def test_another_status(api: Api):
    """What has no kind of its own is an ApiError with its status and the API's own words."""
    error = error_of(api, said({"message": "not here"}, "405 Method Not Allowed"))
    assert (ApiError, 405) == (type(error), error.status)
    assert error.message == "127.0.0.1: 405: not here"


def test_too_large(api: Api):
    """An answer over 4 MiB is refused while it is read."""
    assert "larger" in str(error_of(api, reply("200 OK", b" " * (MAX_ANSWER_BYTES + 1))))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 12", 12),
        ("Retry-After: 0.2", 1),
        ("Retry-After: -5", 1),
        (f"Retry-After: {NOW + 40:.0f}", 40),
        (f"Retry-After: {formatdate(NOW + 90, usegmt=True)}", 90),
        ("Retry-After: 999999", 3600),
        ("Retry-After: soon", 30),
        ("Retry-After: nan", 30),
        ("X-Other: 1", 30),
    ],
)
def test_when_to_come_back(api: Api, header: str, seconds: float):
    """The delay is read as seconds, as an epoch and as a date, and bounded."""
    error = error_of(api, said({}, "429 Too Many Requests", header))
    assert isinstance(error, RateLimited)
    assert seconds == pytest.approx(error.delay_seconds, abs=0.001)


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ({"message": "Bad", "errors": ["a", "b"]}, ("Bad", "a", "b")),
        ({"message": "a; b", "errors": ["a", "b"]}, ("a", "b")),
        ({"errors": {"name": ["is short", "is odd"]}}, ("name: is short", "name: is odd")),
        ({"errors": [{"field": "name", "message": "is odd"}]}, ("name: is odd",)),
        (
            {"title": "Invalid", "invalidFields": [{"field": "logoId", "message": "unknown"}]},
            ("Invalid", "logoId: unknown"),
        ),
        (["a", "b"], ("a", "b")),
        ("all wrong", ("all wrong",)),
        ({}, ("answered 422",)),
        (None, ("answered 422",)),
    ],
)
def test_all_faults(api: Api, document: Any, faults: tuple[str, ...]):
    """Invalid holds every message of the marketplace, in whatever form it came."""
    error = error_of(api, said(document, "422 Unprocessable Entity"))
    assert isinstance(error, Invalid)
    assert faults == error.faults


def test_faults_are_bounded(api: Api):
    """However much an API has to say, messages stay short enough for a log."""
    errors = ["x" * 10_000 + str(n) for n in range(1000)]
    error = error_of(api, said({"errors": errors}, "422 Unprocessable Entity"))
    assert len(str(error)) < 30_000


@pytest.mark.parametrize("status", ["403 Forbidden", "422 Invalid", "500 Down", "405 Not Allowed"])
def test_no_secret_in_a_message(api: Api, status: str):
    """Where an API quotes our credential or what we sent, the message does not."""
    quoted = {"errors": ["z" * 490 + f" {SECRET} and hunter2"], "message": f"{SECRET} hunter2"}
    error = error_of(api, said(quoted, status), secrets=("hunter2", ""))
    for told in (str(error), repr(error), error.message, *getattr(error, "faults", ())):
        assert "hunter2" not in told
        assert "canary" not in told
    assert "…" in str(error)


def test_unreachable(api: Api):
    """A host that does not answer is Down."""
    caller = Caller(
        "http://127.0.0.1:1", Outgoing(), Key("", bearer), judged_plainly, now=lambda: NOW
    )
    with pytest.raises(Down):
        caller.call("GET", "/things")


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/things?cursor=2",
        "https://127.0.0.1/v1/things",
        "//evil.example/v1/things",
        "http://127.0.0.1.evil.example/",
        "http://user@evil.example/",
        "http://[::1/",
    ],
)
def test_links_elsewhere(api: Api, link: str):
    """A next page on another host, port or scheme is never asked for."""
    with pytest.raises(Inconsistent, match="another host"):
        caller_of(api).follow(link)
    assert api.requests == []


@pytest.mark.parametrize("prefix", ["", "http://127.0.0.1:{port}"])
def test_links_at_home(api: Api, prefix: str):
    """A link on the same host is followed with the credential, relative or whole."""
    api.answers("/v1/things", said([]))
    link = prefix.format(port=api.url.rpartition(":")[2]) + "/v1/things?cursor=2"
    assert caller_of(api).follow(link).document == []
    assert api.requests[0].query == {"cursor": "2"}
    assert "authorization" in api.requests[0].headers


class SigningIn:
    """Gives tokens `t1`, `t2` and so on, and counts."""

    def __init__(self, tokens: Tokens) -> None:
        self.made = 0
        self.held = Held(tokens, "api", self._fetch, bearer)

    def _fetch(self) -> tuple[str, float]:
        self.made += 1
        return f"t{self.made}", 60.0


def test_a_token_is_shared(api: Api, store: Store, ring: KeyRing):
    """One sign-in serves all processes until the token is refused."""
    api.answers("/v1/things", said({}))
    one, other = SigningIn(Tokens(store, ring)), SigningIn(Tokens(store, ring))
    for signing_in in (one, other, one):
        caller_of(api, signing_in.held).call("GET", "/things")
    assert (one.made, other.made) == (1, 0)


def test_renewed_once(api: Api, tokens: Tokens):
    """A token that is refused is renewed and the call made again; not a second time."""
    no = said({"message": "expired"}, "401 Unauthorized")
    signing_in = SigningIn(tokens)
    api.answers("/v1/things", no, said({"done": True}), no)
    caller = caller_of(api, signing_in.held)
    assert caller.call("GET", "/things").document == {"done": True}
    assert [x.headers["authorization"] for x in api.requests] == ["Bearer t1", "Bearer t2"]
    with pytest.raises(Refused):
        caller.call("GET", "/things")
    assert [x.headers["authorization"] for x in api.requests[2:]] == ["Bearer t2", "Bearer t3"]


def test_a_renewal_of_another_process_is_used(api: Api, tokens: Tokens):
    """Whoever was refused with an old token takes the new one that is there."""
    signing_in = SigningIn(tokens)
    tokens.put("api", "new", lives_seconds=60)
    assert signing_in.held.instead_of("old") == "new"
    assert signing_in.made == 0


def test_only_one_signs_in(store: Store, ring: KeyRing):
    """While another process signs in, a call does not wait: it is to be made later."""
    Tokens(store, ring).lease("api", 60)
    with pytest.raises(RateLimited, match="signing in") as caught:
        SigningIn(Tokens(store, ring)).held.current()
    assert 0 < caught.value.delay_seconds <= 15


def test_signing_in_at_once(store: Store, ring: KeyRing):
    """However many ask at the same moment, there is one sign-in, and all others get its token
    or are sent away for a moment."""
    everyone = [SigningIn(Tokens(store, ring)) for _ in range(8)]

    def ask(signing_in: SigningIn) -> str | None:
        try:
            return signing_in.held.current()
        except RateLimited:
            return None

    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(ask, everyone))
    assert sum(one.made for one in everyone) == 1
    assert got <= {"t1", None}


def test_a_failed_sign_in_frees_the_lease(tokens: Tokens):
    """After a sign-in that failed the next one is not kept waiting."""

    def fetch() -> tuple[str, float]:
        raise Refused("no", 401)

    held = Held(tokens, "api", fetch, bearer)
    for _ in range(2):
        with pytest.raises(Refused):
            held.current()
