"""Hostile material: any JSON, any text, and sound documents and bytes with something altered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

AWKWARD = (
    "", "-", ".", "..", "/", "\0", "\r\n", "\ud800", "\udfff", "é", "é", "😀", "\ufeff", "%00",
    "../x", "a" * 300, "null", "12345", "-1", "1e999", "${x}", "' or 1=1", "<script>", "\x7f",
)  # fmt: skip
texts = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(), max_size=12))
"""Lone surrogates among them, which JSON can escape."""
numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40]),
    st.floats(),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=6)
_STRING_OR_INFINITY = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity')
header_texts = st.text(st.characters(max_codepoint=255), max_size=40)
headers = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(
                ["content-type", "content-length", "content-encoding", "authorization", "cookie",
                 "x-xurrent-delivery", "x-4me-delivery-origin", "x-forwarded-for", "host"]
            ),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
        ).map(str.lower),
        header_texts,
    ),
    max_size=5,
)  # fmt: skip


def written(document: Any) -> bytes:
    """A document as JSON, infinities as the numbers that only a reader finds too great."""
    return _STRING_OR_INFINITY.sub(_as_number, json.dumps(document)).encode()


def _as_number(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else found[0].replace("Infinity", "1e999")


@st.composite
def altered(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """A JSON document in which up to `most` places say something else."""
    held = {"": deepcopy(document)}
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(held))
        place, key = draw(st.sampled_from(places))
        way = draw(st.sampled_from(["replace", "replace", "drop", "wrap", "add"]))
        if way == "replace" or place is held:
            place[key] = draw(values)
        elif way == "wrap":
            place[key] = draw(st.sampled_from([[place[key]], {"reference": place[key]}]))
        elif way == "drop":
            del place[key]
        elif isinstance(place, dict):
            place[draw(texts)] = draw(values)
        else:
            place.append(draw(values))
    return held[""]


def _places(within: Any) -> Iterable[tuple[Any, Any]]:
    keys: Iterable[Any] = ()
    if isinstance(within, dict):
        keys = list(within)
    elif isinstance(within, list):
        keys = range(len(within))
    for key in keys:
        yield within, key
        yield from _places(within[key])


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, most: int = 3) -> bytes:
    """Bytes of which up to `most` pieces are altered, doubled, cut out or moved to the end."""
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(whole)))
        end = min(len(whole), start + draw(st.integers(0, 8)))
        before, piece, after = whole[:start], whole[start:end], whole[end:]
        new = draw(st.binary(max_size=8))
        whole = draw(
            st.sampled_from(
                [
                    before + new + after,
                    before + after,
                    before + piece * 2 + after,
                    before + after + piece,
                    before,
                ]
            )
        )
    return whole


def has_surrogates(document: Any) -> bool:
    """Whether a text in it is one that no UTF-8 can hold."""
    if isinstance(document, dict):
        return any(has_surrogates(each) for pair in document.items() for each in pair)
    if isinstance(document, list):
        return any(map(has_surrogates, document))
    return isinstance(document, str) and any("\ud800" <= letter <= "\udfff" for letter in document)


def shuffled(document: Any) -> Any:
    """The same document with the names of every object in the reverse order."""
    if isinstance(document, dict):
        return {name: shuffled(document[name]) for name in reversed(document)}
    return list(map(shuffled, document)) if isinstance(document, list) else document
