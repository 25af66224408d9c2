"""A secret that is quoted is found however it was written."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest

from innkeeper.quoting import ways_of_writing
from tests.faults.canaries import AWKWARD

SECRET = f"tide  {AWKWARD} table"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        " ".join(SECRET.split()),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        urlencode({"a": SECRET})[2:],
        json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
        quote(json.dumps(SECRET)[1:-1]),
        json.dumps(quote_plus(SECRET))[1:-1],
    ],
)
def test_every_way_is_known(written: str):
    """As JSON, Python, a URL or a form writes it, and one within another."""
    assert written in ways_of_writing(SECRET)


def test_a_text_that_no_utf8_can_hold():
    """A lone surrogate is no error."""
    assert "a\ud800b" in ways_of_writing("a\ud800b")
