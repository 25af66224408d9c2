"""Captured deliveries as JSON Lines: the form in which they are exported and replayed.

Knows no store and no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

MAX_LINE_BYTES = 4 << 20
TOO_LONG = "the line is longer than 4 MiB"
_PIECE_BYTES = 1 << 16


class CapturedLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One delivery as it came over the wire, less credentials.

    `app`: as the path named it. `headers`: names in lower case. `body`: exact bytes, written as
    base64; None where it is `withheld`, for it may hold secrets.
    """

    id: str | None = None
    received_at: datetime | None = None
    platform: str
    app: str | None = None
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = msgspec.field(name="body_base64", default=None)
    withheld: bool = False


class ReadLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a file: its number from 1, where it ends, and what it holds or what is wrong."""

    number: int
    end: int
    captured: CapturedLine | None = None
    fault: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CapturedLine)


def write_line(line: CapturedLine) -> bytes:
    """A line with its end."""
    document = msgspec.to_builtins(line, builtin_types=(datetime,))
    if line.received_at is not None:
        utc = line.received_at.astimezone(UTC)
        document["received_at"] = utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    document.setdefault("app", None)
    document.setdefault("query", "")
    document.setdefault("headers", [])
    return _encoder.encode(document) + b"\n"


def read_lines(file: BinaryIO) -> Iterator[ReadLine]:
    """Every line that is not blank; one that cannot be used says why."""
    for number, end, line in bounded_lines(file):
        if line is None:
            yield ReadLine(number=number, end=end, fault=TOO_LONG)
        else:
            yield _read(line, number, end)


def bounded_lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes | None]]:
    """The number of each line that is not blank, where it ends, and itself; None if too long."""
    number = end = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number, end = number + 1, end + len(line)
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            end += _skip_rest(file)
            yield number, end, None
        elif line.strip():
            yield number, end, line


def _read(line: bytes, number: int, end: int) -> ReadLine:
    try:
        captured = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return ReadLine(number=number, end=end, fault=f"not a captured delivery: {error}")
    if captured.body is None and not captured.withheld:
        return ReadLine(number=number, end=end, fault="it has no body_base64")
    return ReadLine(number=number, end=end, captured=captured)


def _skip_rest(file: BinaryIO) -> int:
    skipped = 0
    while piece := file.readline(_PIECE_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
