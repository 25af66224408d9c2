"""The receiver's side of a connection: what has to be bounded before there is a request.

Given to uvicorn by `serving`. The head of a request: so many bytes, so many headers, so much time.
What the parser cannot read, or two could read differently, ends its connection. Bodies are bounded
by `bodies` and `shares`; which connections are held at all is the `Door`'s to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from innkeeper_receiver import answers

if TYPE_CHECKING:
    from innkeeper_receiver.door import Door

MOST_HEAD_BYTES = 32 << 10
MOST_HEADERS = 200
_MOST_PIPELINED = 16
_LINGER_SECONDS = 1.0
_LAST_BODY_SECONDS = 2.0
_VERSIONS = ("1.1", "1.0")


class _Refused(Exception):
    """Ends the parser's run."""


class _Transport:
    """The transport as uvicorn sees it: to close it is to `part`."""

    __slots__ = (
        "close",
        "get_extra_info",
        "is_closing",
        "pause_reading",
        "resume_reading",
        "write",
    )

    def __init__(self, wire: Any, close: Callable[[], None]) -> None:
        self.close = close
        self.get_extra_info = wire.get_extra_info
        self.is_closing = wire.is_closing
        self.pause_reading = wire.pause_reading
        self.resume_reading = wire.resume_reading
        self.write = wire.write


class Edge(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        door: Door,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = door
        self._heads, self._bodies = door.heads, door.bodies
        self._wire: Any = None
        self._asked: RequestResponseCycle | None = None
        self._reads = True
        self._parted = False
        self._last_words: bytes | None = None
        self._upgrades = False
        self._refusal = 400
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        # Bytes that are no body since the last piece of one: of the head, or of what frames chunks.
        # Where one read holds the end of a request and more, only bounds are known.
        self._read = self._at_least = self._at_most = 0

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Hold it, or say at once that there is no room."""
        self._wire = transport
        super().connection_made(_Transport(transport, self.part))  # type: ignore[arg-type]
        if not self._door.admits(held=len(self.connections)):
            self.drop(answers.on_the_wire(503))
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        self._stop_reading()
        self.resume_writing()
        super().connection_lost(exc)

    def part(self) -> None:
        """Close; whoever still sends gets a moment to read what was said.

        To close a socket with bytes unread in it makes the other side lose the answer.
        """
        if self._parted or self._wire.is_closing():
            return
        self._parted = True
        unread = self._asked is not None and self._asked.more_body
        self._stop_reading()
        if unread or self._last_words:
            self._wire.write_eof()
            self.flow.resume_reading()
            self._heads[self] = None
            self.loop.call_later(_LINGER_SECONDS, self._wire.abort)
            return
        self._wire.close()
        if self._wire.get_write_buffer_size():
            self.loop.call_later(_LINGER_SECONDS, self._wire.abort)

    def drop(self, last_words: bytes = b"") -> None:
        """Close at once, whatever is under way."""
        self._parted = True
        self._stop_reading()
        self.connections.discard(self)
        self._disconnect()
        if last_words:
            self._wire.write(last_words)
            self._wire.close()
        else:
            self._wire.abort()

    def shutdown(self) -> None:
        """The process ends: a body that is half here gets a moment more."""
        super().shutdown()
        if self._reads:
            self.loop.call_later(_LAST_BODY_SECONDS, self._give_up_body)

    def _give_up_body(self) -> None:
        if self._reads and self._asked is not None and self._asked.more_body:
            self._end(503)

    def pause_writing(self) -> None:
        """The other side reads no answers: not for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(self._door.headers_within, self._wire.abort)

    def resume_writing(self) -> None:
        """It does read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # What comes

    def data_received(self, data: bytes) -> None:
        """Parse it."""
        if not self._reads:
            return
        self._unset_keepalive_if_required()
        self._read = len(data)
        self._at_least += self._read
        self._at_most += self._read
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._end(self._refusal)
            return
        asked = self._asked
        if asked is None or asked.response_complete:
            if self._late is None:
                self._await_head()
        elif asked.more_body:
            self._await_body(asked)
        elif self in self._bodies:
            del self._bodies[self]
        if self._at_least > MOST_HEAD_BYTES:
            self._end(431)

    def _await_body(self, asked: RequestResponseCycle) -> None:
        if asked.body:
            self._at_least = 0
        if not self.pipeline:
            self._bodies[self] = None

    def on_headers_complete(self) -> None:
        """A whole head: bounded, then uvicorn's."""
        if self.parser.should_upgrade():
            self._upgrades = True
            if self.parser.get_method() == b"CONNECT":
                self._refuse(400)
            return
        if self._at_most > MOST_HEAD_BYTES or len(self.headers) > MOST_HEADERS:
            self._bound_head()
        if self.pipeline and len(self.pipeline) >= _MOST_PIPELINED:
            self._refuse(503)
        HttpToolsProtocol.on_headers_complete(self)
        self._asked = self.cycle
        if self._late is not None:
            self._cancel_late()
        self._heads.pop(self, None)
        if self.scope["http_version"] != "1.1":
            self._check_version()
        # Trailers are appended to it, and are no headers.
        self.headers = []

    def on_message_complete(self) -> None:
        """A request is whole; what else this read holds may be the next one's head."""
        if self._upgrades:
            return
        HttpToolsProtocol.on_message_complete(self)
        self._at_least, self._at_most = 0, self._read

    def on_response_complete(self) -> None:
        """Answer the next, wait for it, or end."""
        if self._parted:
            return
        if self.pipeline:
            HttpToolsProtocol.on_response_complete(self)
        elif self._last_words is not None or (self._asked is not None and self._asked.more_body):
            # A body that nobody waits for would otherwise come for ever.
            self._say_last_words()
        else:
            HttpToolsProtocol.on_response_complete(self)
            self._heads[self] = None

    def _bound_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MOST_HEAD_BYTES or len(self.headers) > MOST_HEADERS:
            self._refuse(431)

    def _check_version(self) -> None:
        """HTTP/1.0 has no chunks; a proxy before us may have seen another body than we."""
        chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        if chunked or self.scope["http_version"] not in _VERSIONS:
            self._refuse(400)

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a head once more, without the wish for another protocol, which may be ignored.

        The parser takes whatever follows such a head for that protocol: the body, too.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._upgrades = False
        self._at_least = self._at_most = 0
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    # How it ends

    def _await_head(self) -> None:
        self._heads.pop(self, None)
        self._heads[self] = None
        self._late = self.loop.call_later(self._door.headers_within, self._end, 408)

    def _cancel_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int) -> NoReturn:
        self._refusal = status
        raise _Refused

    def _end(self, status: int) -> None:
        """Read no more. What came before is answered first; then this, then the end."""
        self._door.figures.answered("-", "-", status)
        self._last_words = answers.on_the_wire(status)
        self._stop_reading()
        if self._asked is None or self._asked.response_complete:
            self._say_last_words()
        elif self._asked.more_body:
            self._break_off(self._asked)

    def _break_off(self, asked: RequestResponseCycle) -> None:
        """A body that is not read to its end: our last words are the answer, if there is none."""
        if self.pipeline:
            self.pipeline.popleft()  # uvicorn appends at the left
        elif asked.response_started:
            self._last_words = b""
        else:
            self._disconnect()
            self._say_last_words()

    def _say_last_words(self) -> None:
        if self._last_words:
            self._wire.write(self._last_words)
        self.part()

    def _stop_reading(self) -> None:
        self._reads = False
        self._cancel_late()
        self._unset_keepalive_if_required()
        self._heads.pop(self, None)
        self._bodies.pop(self, None)

    def _disconnect(self) -> None:
        """Whoever waits for the rest of the body need not."""
        if self._asked is not None and not self._asked.response_complete:
            self._asked.disconnected = True
            self._asked.waiting_for_100_continue = False
            self._asked.message_event.set()
