"""What comes over a connection and is no good request: what it gets, and that it costs no other."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deliveries import PATH
from tests.receiver.process import ReceiverProcess, fresh
from tests.receiver.running import Answer, answer_on, head

PROBLEM = "application/problem+json"
KiB = 1024


@pytest.fixture(scope="module")
def receiver(
    tmp_path_factory: pytest.TempPathFactory, valkey_url: str
) -> Iterator[ReceiverProcess]:
    """A receiver that waits half a second for a head, and as long for a body."""
    folder: Path = tmp_path_factory.mktemp("edge")
    settings = ('headers_within = "500ms"', 'body_within = "500ms"')
    started = ReceiverProcess(folder, valkey_url, *settings)
    yield started.until_ready()
    started.end()


def said(receiver: ReceiverProcess, sent: bytes) -> bytes:
    """All that is answered until the connection is closed."""
    with receiver.connected() as connection:
        connection.sendall(sent)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """Whatever comes until the other side closes."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def refusal(answer: Answer) -> tuple[int, str, str | None]:
    """Status, media type and what is said of the connection."""
    assert answer.json["status"] == answer.status
    return answer.status, answer.headers["content-type"], answer.headers.get("connection")


def good(*headers: str, version: str = "1.1") -> bytes:
    """A delivery as it goes over the wire."""
    body = fresh()
    whole = head(PATH, f"Content-Length: {len(body)}", *headers) + body
    return whole.replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1)


START = f"POST {PATH} HTTP/1.1\r\nHost: inn\r\n".encode()
BROKEN = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another method": b"FETCH / HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "HTTP/2.0": b"GET /health/live HTTP/2.0\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT inn:443 HTTP/1.1\r\nHost: inn\r\n\r\n",
    "no ASCII in the path": b"POST /hooks/\xc3\xa9 HTTP/1.1\r\nHost: inn\r\n\r\n",
    "bare line feeds": b"GET /health/live HTTP/1.1\nHost: inn\n\n",
    "a line feed in a header": START + b"X: a\nY: b\r\n\r\n",
    "a carriage return in a header": START + b"X: a\rY: b\r\n\r\n",
    "a zero in a header": START + b"X: a\x00b\r\n\r\n",
    "a folded header": START + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": START + b"Content-Length : 2\r\n\r\n{}",
    "a header without a name": START + b": x\r\n\r\n",
    "a length and chunks": START
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": START
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": START + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "the same length twice": START + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths in one": START + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": START + b"Content-Length: +2\r\n\r\n{}",
    "a length beyond all": START + b"Content-Length: 99999999999999999999\r\n\r\n",
    "chunks that do not come last": START
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks by another name": START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": START
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": START.replace(b"1.1", b"1.0")
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk without a size": START + b"Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
    "a chunk with a line feed": START + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "a chunk below nothing": START + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond all": START + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
    "a length in the trailer": START
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n",
}


@pytest.mark.parametrize("form", BROKEN)
def test_what_two_could_read_differently_is_refused(receiver: ReceiverProcess, form: str):
    """400 and a closed connection; what comes behind it is nobody's request."""
    with receiver.connected() as connection:
        connection.sendall(BROKEN[form] + good())
        assert refusal(answer_on(connection)) == (400, PROBLEM, "close")
        assert connection.recv(1) == b""


def test_other_codings_are_compressed_bodies(receiver: ReceiverProcess):
    """415 for a body whose chunks hold gzip."""
    with receiver.connected() as connection:
        connection.sendall(START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
        assert answer_on(connection).status == 415


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(10_000)),
        b"".join(b"X-%d: y\r\n" % number for number in range(200)),
        b"X: " + b"y" * 33 * KiB,
        b"X: " + b"y" * 4096 * KiB,
        b"y" * 300 * KiB,
    ],
    ids=["10,000", "201", "33 kB", "4 MB", "a name without end"],
)
def test_a_large_head_is_refused(receiver: ReceiverProcess, headers: bytes):
    """431 for more than 200 headers or 32 KiB, and the sender gets to read it."""
    with receiver.connected() as connection:
        connection.sendall(START + headers + b"\r\n\r\n")
        assert refusal(answer_on(connection)) == (431, PROBLEM, "close")


@pytest.mark.parametrize("sent", [b"\r\n" * 20 * KiB, b"POST /" + b"x" * 40 * KiB])
def test_a_head_that_never_begins_is_refused(receiver: ReceiverProcess, sent: bytes):
    """431 for whatever is longer than a head may be, before it is one."""
    with receiver.connected() as connection:
        connection.sendall(sent)
        assert answer_on(connection).status == 431


def test_as_large_as_allowed_is_served(receiver: ReceiverProcess):
    """202 with 31 KiB of headers, with 150 of them, and with 8 kB of query."""
    many = [f"X-{number}: y" for number in range(150)]
    for headers in (["X: " + "y" * 31 * KiB], many):
        with receiver.connected() as connection:
            connection.sendall(good(*headers))
            assert answer_on(connection).status == 202
    long = good().replace(PATH.encode(), f"{PATH}?x={'y' * 8000}".encode(), 1)
    with receiver.connected() as connection:
        connection.sendall(long)
        assert answer_on(connection).status == 202


@pytest.mark.parametrize("trailer", [b"X: y\r\n" * 100_000, b"X: " + b"y" * 600 * KiB])
def test_trailers_are_bounded(receiver: ReceiverProcess, trailer: bytes):
    """431 where more comes behind the last chunk than a head may have."""
    with receiver.connected() as connection:
        connection.sendall(START + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        connection.sendall(trailer)
        assert answer_on(connection).status == 431


def test_trailers_are_no_headers(receiver: ReceiverProcess):
    """A small trailer is read over."""
    body = fresh()
    sent = START + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX: y\r\n\r\n"
    with receiver.connected() as connection:
        connection.sendall(sent % (len(body), body))
        assert answer_on(connection).status == 202


@pytest.mark.parametrize("sent", [b"", b"POST", START, START + b"X: y", b"\r\n"])
def test_a_slow_head_is_given_up(receiver: ReceiverProcess, sent: bytes):
    """408 half a second after the connection was made, and it is closed."""
    with receiver.connected() as connection:
        connection.sendall(sent)
        assert refusal(answer_on(connection)) == (408, PROBLEM, "close")
        assert connection.recv(1) == b""


def test_a_slow_second_head_is_given_up(receiver: ReceiverProcess):
    """408 counted from its first byte; a byte now and then gives no more time."""
    with receiver.connected() as connection:
        connection.sendall(good())
        assert answer_on(connection).status == 202
        connection.settimeout(0.3)
        for byte in b"POST":
            connection.sendall(bytes([byte]))
            try:
                answered = answer_on(connection)
            except TimeoutError:
                continue
            assert refusal(answered) == (408, PROBLEM, "close")
            return
    pytest.fail("it was waited for")


def test_a_body_shorter_than_announced_is_given_up(receiver: ReceiverProcess):
    """408 when the rest has not come in time."""
    with receiver.connected() as connection:
        connection.sendall(START + b'Content-Length: 200\r\n\r\n{"jwt": "x"}')
        assert refusal(answer_on(connection)) == (408, PROBLEM, "close")


def test_a_body_that_nobody_waits_for_ends_the_connection(receiver: ReceiverProcess):
    """404 at once; a body that goes on and on behind it is not read for ever."""
    with receiver.connected() as connection:
        connection.sendall(head("/nowhere", "Content-Length: 1000000000") + b"x")
        assert answer_on(connection).status == 404
        assert connection.recv(1) == b""


def test_pipelined_requests_are_answered_in_order(receiver: ReceiverProcess):
    """Three at once, the second to nowhere: 202, 404, 202."""
    with receiver.connected() as connection:
        nowhere = head("/nowhere", "Content-Length: 2") + b"{}"
        connection.sendall(good() + nowhere + good("Connection: close"))
        found = everything(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"202", b"404", b"202"]


@pytest.mark.parametrize(
    ("behind", "status"),
    [
        (b"FETCH", b"400"),
        (START + b"Transfer-Encoding: chunked\r\n\r\nxyz", b"400"),
        (START + b"X: y\r\n" * 201 + b"\r\n", b"431"),
    ],
)
def test_what_came_before_is_answered_first(
    receiver: ReceiverProcess, behind: bytes, status: bytes
):
    """A broken request does not take the answer of the one before it."""
    found = said(receiver, good() + behind)
    assert found.startswith(b"HTTP/1.1 202 ")
    assert found.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 " + status in found


def test_pipelines_are_bounded(receiver: ReceiverProcess):
    """The first 17 are answered, then 503, and the connection is closed."""
    found = said(receiver, head("/nowhere", "Content-Length: 0") * 10_000)
    assert found.count(b"HTTP/1.1 404") == 17
    assert found.count(b"HTTP/1.1 503") == 1


def test_who_reads_no_answers_is_let_go(receiver: ReceiverProcess):
    """Half a second after its answers can no longer be sent, the connection is closed."""

    def ask_on(connection: socket.socket) -> None:
        for _ in range(500):
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: inn\r\n\r\n" * 8)
            time.sleep(0.02)

    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", receiver.port))
        with pytest.raises(ConnectionError):
            ask_on(connection)


def test_http_1_0_is_answered_and_closed(receiver: ReceiverProcess):
    """202 with `Connection: close`."""
    with receiver.connected() as connection:
        connection.sendall(good(version="1.0"))
        answer = answer_on(connection)
        assert (answer.status, answer.headers["connection"]) == (202, "close")
        assert connection.recv(1) == b""


def test_head_is_answered_without_a_body(receiver: ReceiverProcess):
    """405, its headers, and nothing behind them."""
    found = said(
        receiver, f"HEAD {PATH} HTTP/1.1\r\nHost: inn\r\nConnection: close\r\n\r\n".encode()
    )
    assert found.startswith(b"HTTP/1.1 405 ")
    assert found.endswith(b"\r\n\r\n")


def test_who_asks_before_sending_is_told(receiver: ReceiverProcess):
    """100 for a body that will be read; 413, 415 and 404 without it for one that will not."""
    body = fresh()
    with receiver.connected() as connection:
        connection.sendall(head(PATH, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answer_on(connection).status == 202
    for path, *headers in (
        (PATH, "Content-Length: 200000000"),
        (PATH, "Content-Length: 9", "Content-Encoding: gzip"),
        ("/nowhere", "Content-Length: 9"),
    ):
        found = said(receiver, head(path, *headers, "Expect: 100-continue"))
        assert found[9:12] in (b"413", b"415", b"404")


def test_the_wish_for_another_protocol_is_ignored(receiver: ReceiverProcess):
    """202 for each of two deliveries on a connection that asks for HTTP/2 beside them."""
    wish = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with receiver.connected() as connection:
        for _ in range(2):
            connection.sendall(good(*wish))
            assert answer_on(connection).status == 202


def test_an_ordinary_client_reads_why_its_body_is_too_large(receiver: ReceiverProcess):
    """413 for 200 MB that are really sent, and the receiver's memory does not grow by it."""
    before = receiver.memory
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    pieces = (b"x" * (1 << 20) for _ in range(200))
    with contextlib.suppress(OSError):  # not all of it is read
        connection.request("POST", PATH, pieces, {"Content-Length": str(200 << 20)})
    assert connection.getresponse().status == 413
    connection.close()
    assert receiver.most_memory - before < 32 << 20


def test_refusals_are_counted(receiver: ReceiverProcess):
    """By status, under no app."""
    assert said(receiver, b"FETCH\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    text = receiver.ask("GET", "/metrics").body.decode()
    assert 'innkeeper_deliveries_total{app="-",platform="-",status="400"}' in text
