"""Every answer of the hook: status, headers and body, as the contract has them."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from innkeeper.config import Header, ReceiverSection
from innkeeper.operations.desk import Desk
from tests.deliveries import (
    BASIC,
    CUSTOMER,
    PATH,
    PROVIDER,
    REBILLY_PATH,
    delivery,
    instance,
    lifecycle,
    rebilly,
    rebilly_app,
    token,
    told,
    xurrent_app,
)
from tests.keys import key_for, policy_for
from tests.receiver.conftest import Start
from tests.receiver.running import Answer, Running, answer_on, head
from tests.standing import standing_of
from tests.tokens import sign

PROBLEM = "application/problem+json"
JSON = {"content-type": "application/json"}


def problem(answer: Answer) -> tuple[int, str, int]:
    """Status, media type and the status that the body names, of an error."""
    assert set(answer.json) <= {"type", "title", "status", "detail"}
    return answer.status, answer.headers["content-type"], answer.json["status"]


def padded(size: int) -> bytes:
    """A good delivery of so many bytes."""
    return delivery(lifecycle()).ljust(size)


def test_what_is_stored_is_accepted(receiver: Running, desk: Desk):
    """202 with the delivery's id; it is in the log by then, byte for byte."""
    body = delivery(lifecycle())
    answer = receiver.post(f"{PATH}?trace=a%20b", body, {"x-odd": "kept"})
    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {"delivery": answer.json["delivery"], "status": "accepted"}
    entry = desk.log.find(answer.json["delivery"])
    assert entry is not None
    assert entry.instance == instance()
    captured = desk.log.captured(entry)
    assert (captured.app, captured.query, captured.body) == ("tides", "trace=a%20b", body)
    assert ("x-odd", "kept") in captured.headers


def test_what_was_seen_before_is_a_duplicate(receiver: Running, start: Start):
    """200 with the id of the first, also from another receiver."""
    body = delivery(lifecycle())
    first = receiver.post(PATH, body).json["delivery"]
    for running in (receiver, start()):
        answer = running.post(PATH, body)
        assert (200, {"delivery": first, "status": "duplicate"}) == (answer.status, answer.json)


@pytest.mark.parametrize(
    ("data", "mark"),
    [
        (told("person.created", {}), "ignored"),
        (lifecycle(app_offering={"reference": "somebody-elses"}), "unrouted"),
        (lifecycle() | {"object_id": 12345}, "test"),
        (lifecycle(disabled="perhaps"), "undecodable"),
        (lifecycle(customer="../etc"), "undecodable"),
        (lifecycle(note="\ud800"), "undecodable"),
        ("no object", "undecodable"),
        (told("app_instance.update", None), "undecodable"),
    ],
)
def test_what_a_retry_cannot_mend_is_accepted(receiver: Running, desk: Desk, data: Any, mark: str):
    """Authentic deliveries that cannot be applied are kept under a mark."""
    answer = receiver.post(PATH, delivery(data))
    assert answer.status == 202
    entry = desk.log.find(answer.json["delivery"])
    assert entry is not None
    assert entry.mark == mark


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"jwt"',
        b"{}",
        b'{"jwt": 7}',
        b'{"jwt": null}',
        b'{"jwt": "a", "jwt": "a"}',
        b'{"jwt": NaN}',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"jwt=a.b.c&account=wdc",
        b'--x\r\nContent-Disposition: form-data; name="jwt"\r\n\r\na.b.c\r\n--x--\r\n',
        b"[" * 100_000,
    ],
)
def test_what_has_not_the_outer_form_is_malformed(receiver: Running, body: bytes):
    """400 for whatever is not a JSON object with a text named jwt; forms too."""
    kind = {"content-type": "application/x-www-form-urlencoded"} if b"=a.b" in body else JSON
    assert problem(receiver.post(PATH, body, kind)) == (400, PROBLEM, 400)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"a": 1, "a": 2}'])
def test_a_body_of_rebilly_is_an_object(receiver: Running, body: bytes):
    """400 for anything else, with a good credential as well."""
    assert problem(receiver.post(REBILLY_PATH, body, BASIC)) == (400, PROBLEM, 400)


def test_who_is_refused_is_not_told_why(receiver: Running):
    """One and the same 401 for whatever is wrong with the token or its signer."""
    now = int(time.time())
    good = token(lifecycle())
    refused = [
        json.dumps({"jwt": text}).encode()
        for text in (
            "",
            "a.b",
            "a.b.c",
            good[:-4] + "AAAA",
            good + "=",
            token(lifecycle(), owner="stranger"),
            token(lifecycle(), algorithm="ES256"),
            token(lifecycle(), header={"alg": "none"}),
            token(lifecycle(), account="elsewhere"),
            token(lifecycle(), exp=now - 120),
            token(lifecycle(), nbf=now + 120),
            token(lifecycle(), iat="now"),
            token(lifecycle() | {"account_id": "elsewhere"}),
            token(told("automation_rule", {})),
        )
    ]
    answers = [receiver.post(PATH, body) for body in refused]
    answers.append(receiver.post(f"{PATH}?account=nobody", delivery(lifecycle())))
    answers.append(receiver.post(f"{PATH}?account=..%2F{PROVIDER}", delivery(lifecycle())))
    expected = {"type": "about:blank", "title": "Unauthorized", "status": 401}
    assert [expected] * len(answers) == [answer.json for answer in answers]
    assert {PROBLEM} == {answer.headers["content-type"] for answer in answers}
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert "www-authenticate" not in answers[0].headers


def test_claims_that_are_no_object_are_refused(receiver: Running):
    """401 for a token whose signature holds and whose claims are a list."""
    body = json.dumps({"jwt": sign(b"[]", "RS256", key_for("RS256"))}).encode()
    assert problem(receiver.post(PATH, body)) == (401, PROBLEM, 401)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic cmViaWxseTp3cm9uZw=="},
        {"authorization": "Bearer open-sesame"},
        {"authorization": "Basic ????"},
    ],
)
@pytest.mark.parametrize("path", [REBILLY_PATH, "/hooks/rebilly"])
def test_basic_credentials_are_asked_for(receiver: Running, path: str, headers: dict[str, str]):
    """401 with WWW-Authenticate where an app expects a user name and password."""
    answer = receiver.post(path, rebilly(), headers)
    assert problem(answer) == (401, PROBLEM, 401)
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_header_is_not_asked_for(start: Start):
    """401 without WWW-Authenticate where the credential is a header; with it 202."""
    secret = Header(name="X-Hook-Key", value="rowlock")
    receiver = start(apps=(rebilly_app(credential=secret),))
    answer = receiver.post(REBILLY_PATH, rebilly(), {"x-hook-key": "rollock"})
    assert problem(answer) == (401, PROBLEM, 401)
    assert "www-authenticate" not in answer.headers
    assert receiver.post(REBILLY_PATH, rebilly(), {"x-hook-key": "rowlock"}).status == 202


@pytest.mark.parametrize("path", [REBILLY_PATH, "/hooks/rebilly"])
def test_rebilly_deliveries_are_accepted(receiver: Running, path: str):
    """With and without the app's name in the path."""
    assert receiver.post(path, rebilly(), BASIC).status == 202


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/xurrent",
        "/hooks/xurrent/",
        "/hooks/xurrent/nobody",
        f"{PATH}/",
        f"{PATH}/more",
        "/hooks/xandr/20",
        "/hooks/nowhere/tides",
        "/hooks/xurrent/..",
        "/hooks/rebilly/nobody",
    ],
)
def test_what_is_not_there_is_not_found(receiver: Running, path: str):
    """404 for whatever names no configured app; no redirect to one."""
    assert problem(receiver.post(path, delivery(lifecycle()))) == (404, PROBLEM, 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(receiver: Running, method: str):
    """405 naming POST."""
    answer = receiver.ask(method, PATH)
    assert problem(answer) == (405, PROBLEM, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
def test_compressed_bodies_are_not_taken(receiver: Running, encoding: str):
    """415, whether the body really is compressed or not."""
    body = gzip.compress(delivery(lifecycle()))
    answer = receiver.post(PATH, body, {"content-encoding": encoding})
    assert problem(answer) == (415, PROBLEM, 415)


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_uncompressed_bodies_may_say_so(receiver: Running, encoding: str):
    """`identity` is no compression."""
    answer = receiver.post(PATH, delivery(lifecycle()), {"content-encoding": encoding})
    assert answer.status == 202


def test_two_encodings_are_both_looked_at(receiver: Running):
    """415 where a second header says what the first does not."""
    body = delivery(lifecycle())
    with receiver.connected() as connection:
        named = ("Content-Encoding: identity", "Content-Encoding: gzip")
        connection.sendall(head(PATH, f"Content-Length: {len(body)}", *named) + body)
        assert problem(answer_on(connection)) == (415, PROBLEM, 415)


@pytest.fixture
def narrow(start: Start) -> Running:
    """A receiver that takes 4 kB within a third of a second."""
    return start(receiver=ReceiverSection(max_body=4096, body_within=0.3))


def test_the_largest_body_is_taken(narrow: Running):
    """Exactly as many bytes as allowed: 202; one more: 413."""
    assert narrow.post(PATH, padded(4096)).status == 202
    assert problem(narrow.post(PATH, padded(4097))) == (413, PROBLEM, 413)


def test_an_announced_body_is_not_waited_for(narrow: Running):
    """413 at once for 200 MB that are only announced, and the connection is closed."""
    with narrow.connected() as connection:
        connection.sendall(head(PATH, "Content-Length: 200000000") + b"{")
        answer = answer_on(connection)
        assert problem(answer) == (413, PROBLEM, 413)
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""


def test_a_body_in_chunks_is_counted_while_it_comes(narrow: Running, desk: Desk):
    """413 as soon as the chunks are too many, though the body has not ended; nothing is kept."""
    with narrow.connected() as connection:
        connection.sendall(head(PATH, "Transfer-Encoding: chunked"))
        for _ in range(5):
            connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")
        assert problem(answer_on(connection)) == (413, PROBLEM, 413)
    assert standing_of(desk.store).counts["accepted"] == 0


def test_a_body_in_chunks_is_put_together(narrow: Running):
    """202 for a good delivery in chunks of seven bytes."""
    body = delivery(lifecycle())
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    with narrow.connected() as connection:
        connection.sendall(head(PATH, "Transfer-Encoding: chunked"))
        for piece in pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert answer_on(connection).status == 202


def test_a_slow_body_is_given_up(narrow: Running):
    """408 where the body does not come in time, and the connection is closed."""
    with narrow.connected() as connection:
        connection.sendall(head(PATH, "Content-Length: 100") + b"{")
        answer = answer_on(connection)
        assert problem(answer) == (408, PROBLEM, 408)
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""


def test_a_body_that_breaks_off_is_not_stored(receiver: Running, desk: Desk):
    """A client that leaves before all that it announced has come leaves nothing behind."""
    body = delivery(lifecycle())
    with receiver.connected() as connection:
        connection.sendall(head(PATH, f"Content-Length: {len(body) + 1}") + body)
    assert receiver.ask("GET", "/health/live").status == 200
    assert standing_of(desk.store).counts["accepted"] == 0


def test_only_the_announced_bytes_count(receiver: Running):
    """Of a body that is longer than announced the rest is no part: 400 for half a document."""
    body = delivery(lifecycle())
    with receiver.connected() as connection:
        connection.sendall(head(PATH, "Content-Length: 20") + body)
        assert answer_on(connection).status == 400


RAW: dict[str, Callable[[str], bytes]] = {
    "escapes": lambda jwt: b'{"\\u006a\\u0077\\u0074":"' + jwt.replace(".", "\\u002e").encode()
    + b'"}',
    "line ends": lambda jwt: f'\r\n\t{{\r\n"jwt"\r\n:\r\n"{jwt}"\r\n}}\r\n'.encode(),
    "emoji beside it": lambda jwt: json.dumps({"jwt": jwt, "\U0001f511": "é"}).encode(),
    "the same in clear": lambda jwt: json.dumps(
        {"jwt": jwt, "\U0001f511": "é"}, ensure_ascii=False
    ).encode(),
    "other names": lambda jwt: json.dumps({"jwt": jwt, "more": [{}] * 99}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", RAW)
def test_every_way_to_write_it_is_read(receiver: Running, desk: Desk, form: str):
    """JSON may be written in many ways; what is kept is what came."""
    body = RAW[form](token(lifecycle(note="\U0001f30a \u0000 \\ é")))
    answer = receiver.post(PATH, body)
    assert answer.status == 202
    entry = desk.log.find(answer.json["delivery"])
    assert entry is not None
    assert desk.log.captured(entry).body == body
    assert entry.event(desk.ring).stated["note"] == "\U0001f30a \u0000 \\ é"


def test_a_mark_of_byte_order_is_no_json(receiver: Running):
    """400 for a body that begins with a BOM, as RFC 8259 has it."""
    assert receiver.post(PATH, b"\xef\xbb\xbf" + delivery(lifecycle())).status == 400


def test_a_long_query_is_kept_whole(receiver: Running, desk: Desk):
    """8 kB of query are no reason to refuse."""
    query = "x=" + "%C3%A9" * 1360
    answer = receiver.post(f"{PATH}?{query}", delivery(lifecycle()))
    assert answer.status == 202
    entry = desk.log.find(answer.json["delivery"])
    assert entry is not None
    assert desk.log.captured(entry).query == query


@pytest.mark.parametrize(
    "query", ["x=%ff%fe", "%00", "a=b=c&&;", "account", "=" * 4000, "x=" + "é" * 10]
)
def test_no_query_breaks_it(receiver: Running, query: str):
    """Odd queries are answered with 202 or 401, never with a fault of ours."""
    path = f"{PATH}?{query}".encode()
    body = delivery(lifecycle())
    with receiver.connected() as connection:
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: inn\r\n" + length + body)
        assert answer_on(connection).status in (202, 400, 401)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_all_six_algorithms_are_taken(start: Start, algorithm: str):
    """The two slow ones are verified in a thread; the answer is the same."""
    receiver = start(apps=(xurrent_app(policy=policy_for(algorithm)),))
    body = delivery(lifecycle(), algorithm=algorithm)
    assert [receiver.post(PATH, body).status for _ in range(2)] == [202, 200]
    assert receiver.post(PATH, delivery(lifecycle(), owner="stranger")).status == 401


def test_customers_are_told_from_the_provider_by_the_query(receiver: Running):
    """401 for the provider's delivery at a customer's address."""
    for name in ("account", "customer_account_id"):
        assert receiver.post(f"{PATH}?{name}={CUSTOMER}", delivery(lifecycle())).status == 401
