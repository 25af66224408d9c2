"""Files that operators hand over: captured deliveries, imports and the configuration itself."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.config import Config, ConfigFaults, QueueSection, StoreSection, load_config
from innkeeper.operations.captured import CapturedLine, read_lines, write_line
from innkeeper.operations.desk import Desk, open_desk
from innkeeper.operations.importing import import_lines
from tests.conftest import KEY
from tests.deliveries import policy_block, rebilly_app, xurrent_app
from tests.fuzz.effort import effort
from tests.fuzz.words import (
    altered,
    damaged,
    has_surrogates,
    header_texts,
    headers,
    values,
    written,
)

LINE = {
    "id": "7-00000000-0000-7000-8000-000000000000", "received_at": "2026-01-01T10:00:00Z",
    "platform": "xurrent", "app": "tides", "query": "a=1", "headers": [["content-type", "x"]],
    "body_base64": "e30=",
}  # fmt: skip
IMPORTED = {
    "platform": "xurrent", "app": "tides", "account": "lighthouse", "disabled": False,
    "application": {"client_id": "i", "client_secret": "pearl-diver"},
    "policy": policy_block("lighthouse"), "secrets": {"pin": 7},
}  # fmt: skip
CANARY = "pearl-diver"
VARIABLES = ("REBILLY_HOOK_PASSWORD", "REBILLY_API_KEY", "XURRENT_TOKEN", "ACME_HOOK_SECRET")
EXAMPLE = Path(__file__).parents[2] / "innkeeper.example.toml"
SAMPLE = tomllib.loads(EXAMPLE.read_text())


def lines_of(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """A few lines, some of them sound."""
    line = st.one_of(
        altered(sound).map(written),
        damaged(written(sound)),
        values.map(written),
        st.binary(max_size=30),
        st.sampled_from([b"[" * 5000, b"", b"\xef\xbb\xbf{}", b"\r"]),
    )
    return st.lists(line, max_size=5).map(b"\n".join)


@pytest.fixture(scope="module")
def desk(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with an app on each marketplace that sends anything."""
    opened = open_desk(
        Config(
            data=tmp_path_factory.mktemp("fuzz"), store=StoreSection(url=valkey_url),
            queue=QueueSection(url=valkey_url), apps=(xurrent_app(), rebilly_app()),
            secret_keys=(KEY,),
        )
    )  # fmt: skip
    yield opened
    opened.close()


@effort(120)
@given(lines_of(LINE))
def test_any_file_of_captured_deliveries_is_read(content):
    """Every line is a delivery or says what is wrong with it, and ends where it ends."""
    found = list(read_lines(io.BytesIO(content)))
    assert all((line.captured is None) == bool(line.fault) for line in found)
    assert [line.number for line in found] == sorted({line.number for line in found})
    assert all(line.end <= len(content) for line in found)


@effort(60)
@given(
    st.binary(), headers, header_texts, st.none() | st.text(),
    st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)), st.booleans(),
)  # fmt: skip
def test_a_captured_delivery_reads_back(body, stated, query, app, at, withheld):
    """Whatever it holds, it is one line, and says the same."""
    line = CapturedLine(
        id="7", received_at=at, platform="xurrent", app=app, query=query, headers=tuple(stated),
        body=None if withheld else body, withheld=withheld,
    )  # fmt: skip
    text = write_line(line)
    assert text.count(b"\n") == 1
    (read,) = read_lines(io.BytesIO(text))
    assert read.captured == line


@effort(80)
@given(lines_of(IMPORTED))
def test_any_file_is_imported_line_by_line(desk, content):
    """Each line is accepted, a duplicate or says why not, without a word of a secret."""
    report = import_lines(desk, io.BytesIO(content))
    lines = [line for line in content.split(b"\n") if line.strip()]
    assert report.accepted + report.duplicate + report.failed == len(lines)
    assert not any(CANARY in why for _, why in report.faults)


@effort(100)
@given(st.data())
def test_any_configuration_is_loaded_or_its_faults_told(tmp_path_factory, data):
    """A configuration, or ConfigFaults that quote no secret; no other error."""
    sound = EXAMPLE.read_bytes()
    content = data.draw(
        st.one_of(
            damaged(sound),
            altered(SAMPLE, most=4).filter(_is_toml).map(_toml),
            st.binary(max_size=60),
        )
    )
    folder = tmp_path_factory.mktemp("fuzz", numbered=True)
    file = folder / "innkeeper.toml"
    file.write_bytes(content)
    told = _told(file)
    assert told
    assert CANARY not in told


def _told(file: Path) -> str:
    """What a configuration shows of itself, or the faults that it has."""
    try:
        return repr(load_config(file, dict.fromkeys(VARIABLES, CANARY), data=file.parent))
    except ConfigFaults as wrong:
        return str(wrong)


def _is_toml(document: Any) -> bool:
    text = repr(document)
    return isinstance(document, dict) and "None" not in text and not has_surrogates(document)


def _toml(document: dict[str, Any]) -> bytes:
    lines = [f"{json.dumps(name)} = {_inline(value)}" for name, value in document.items()]
    return "\n".join(lines).encode()


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {_inline(inner)}" for name, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
