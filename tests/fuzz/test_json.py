"""JSON that comes from others: read or a ValueError, and written in one way only."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.platforms.admission import NotUnderstood, canonical_json, claim
from innkeeper.platforms.jws import MAX_DEPTH, strict_json
from tests.fuzz.effort import effort
from tests.fuzz.words import damaged, has_surrogates, shuffled, texts, values, written

UNUSUAL = (b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b"NaN", b"-Infinity", b"[" * 100_000, b"1" * 5000)


@effort(250)
@given(values.map(written).flatmap(damaged) | st.binary() | st.sampled_from(UNUSUAL))
def test_any_bytes_are_read_or_a_value_error(data):
    """What is read is what a plain reader reads, with no name twice and nothing too deep."""
    try:
        found = strict_json(data)
    except ValueError:
        return
    assert repr(found) == repr(json.loads(data))


@effort(200)
@given(values, st.integers(0, 3 * MAX_DEPTH))
def test_only_so_deep(document, more):
    """A document is read exactly if it nests no deeper than the bound."""
    deep = b"[" * more + b"1" + b"]" * more
    if more <= MAX_DEPTH:
        assert strict_json(deep) is not None
    else:
        with pytest.raises(ValueError, match="deep"):
            strict_json(deep)
    if not _holds_nan(document):
        assert repr(strict_json(written(document))) == repr(document)


@effort(200)
@given(values.filter(lambda document: not _holds_nan(document)))
def test_one_text_for_one_document(document):
    """Whatever the order of names, the text is the same, unless no UTF-8 can hold it."""
    if has_surrogates(document):
        with pytest.raises(NotUnderstood):
            canonical_json(document)
        return
    text = canonical_json(document)
    assert canonical_json(shuffled(document)) == text
    assert canonical_json(strict_json(text)) == text
    if not _holds_infinity(document):
        assert msgspec.json.decode(text) == document


@effort(200)
@given(texts, texts, texts, texts)
def test_a_claim_is_made_of_any_texts(app, issuer, kind, value):
    """Twelve bytes, and others for another value."""
    key = InstanceKey.pseudo("xurrent", app)
    made = claim(key, issuer, kind, value)
    assert len(made) == 12
    assert claim(key, issuer, kind, value + "x") != made


def _floats(document: Any) -> list[float]:
    inner = list(document.values()) if isinstance(document, dict) else document
    if isinstance(inner, list):
        return [each for one in inner for each in _floats(one)]
    return [document] if isinstance(document, float) else []


def _holds_nan(document: Any) -> bool:
    return any(map(math.isnan, _floats(document)))


def _holds_infinity(document: Any) -> bool:
    return any(map(math.isinf, _floats(document)))
