"""The key ring: what is sealed opens at its place only, and goes on opening while keys rotate."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.secrets import Damaged, KeyRing, MissingKey

OLD, NEW, LOST = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
NOW = 1767225600.0
DAY = 86400.0
PLACE = ("secret", 7, "xurrent/tides/lighthouse\nsecrets.token")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


def seal(ring: KeyRing, plain: bytes = b"canary", now: float = NOW) -> bytes:
    """Seal for the one place that these tests use."""
    return ring.seal(*PLACE, plain, now=now)


@given(st.binary(max_size=300), st.floats(0, 4e9))
def test_what_is_sealed_opens(plain, now):
    """At its place, on any day, with any content."""
    ring = KeyRing([OLD])
    assert ring.open(*PLACE, ring.seal(*PLACE, plain, now=now)) == plain


def test_nothing_of_it_can_be_seen():
    """Neither the value nor its place stands in what is stored, and no two are alike."""
    ring = KeyRing([OLD])
    first, second = seal(ring), seal(ring)
    assert first != second
    for sealed in (first, second):
        assert b"canary" not in sealed
        assert b"lighthouse" not in sealed
        assert OLD not in sealed


@pytest.mark.parametrize(
    "place",
    [
        ("event", *PLACE[1:]),
        ("secret", 8, PLACE[2]),
        ("secret", 7, "xurrent/tides/jetty\nsecrets.token"),
        ("secret", 7, "xurrent/tides/lighthouse\nsecrets.other"),
        ("secret", 7, ""),
    ],
)
def test_it_opens_at_its_place_only(place):
    """Moved to another purpose, partition, instance or name, it is damaged."""
    ring = KeyRing([OLD])
    purpose, partition, name = place
    with pytest.raises(Damaged):
        ring.open(purpose, partition, name, seal(ring))


def test_every_byte_of_it_counts():
    """Whichever byte is altered, and wherever it is cut off, it does not open."""
    ring = KeyRing([OLD])
    sealed = seal(ring)
    for index in range(len(sealed)):
        altered = bytearray(sealed)
        altered[index] ^= 1
        with pytest.raises((Damaged, MissingKey)):
            ring.open(*PLACE, bytes(altered))
        with pytest.raises((Damaged, MissingKey)):
            ring.open(*PLACE, sealed[:index])


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" * 60, bytes(60), b"canary"])
def test_what_was_never_sealed_is_damaged(sealed):
    """It is not of a known form."""
    with pytest.raises(Damaged):
        KeyRing([OLD]).open(*PLACE, sealed)


def test_a_missing_key_is_no_damage():
    """Nothing is wrong with the data: the ring is, and the error names the key by its hash."""
    sealed = seal(KeyRing([LOST]))
    with pytest.raises(MissingKey) as raised:
        KeyRing([OLD]).open(*PLACE, sealed)
    assert sealed[1:5].hex() in str(raised.value)
    assert LOST.hex()[:8] not in str(raised.value)


def test_a_ring_has_a_key():
    """Without one nothing can be sealed."""
    with pytest.raises(ValueError, match="empty"):
        KeyRing([])


def test_rotation():
    """The first key seals, all of them open, and the old one may go once nothing needs it."""
    before, during, after = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    assert during.open(*PLACE, seal(before)) == b"canary"
    anew = seal(during)
    assert after.open(*PLACE, anew) == b"canary"
    with pytest.raises(MissingKey):
        before.open(*PLACE, anew)
    with pytest.raises(MissingKey):
        after.open(*PLACE, seal(before))


def test_a_data_key_serves_one_day():
    """It is derived anew each day, and what was sealed on an earlier one still opens."""
    ring = KeyRing([OLD])
    days = [seal(ring, now=NOW + DAY * day) for day in range(3)]
    assert len({sealed[5:9] for sealed in days}) == 3
    assert [KeyRing([OLD]).open(*PLACE, sealed) for sealed in days] == [b"canary"] * 3


@given(JSON, JSON)
def test_digests_tell_equal_values_from_unequal_ones(left, right):
    """Of any JSON, as it is written with its names sorted."""
    ring = KeyRing([OLD])
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (ring.digest("a", left) == ring.digest("a", right)) is same
    assert ring.digest("a", json.loads(json.dumps(left))) == ring.digest("a", left)


def test_the_order_of_names_is_no_difference():
    """JSON objects have none."""
    ring = KeyRing([OLD])
    assert ring.digest("a", {"y": 2, "x": 1}) == ring.digest("a", {"x": 1, "y": 2})
    assert ring.digest("a", ["x", "y"]) != ring.digest("a", ["y", "x"])
    assert ring.digest("a", "1") != ring.digest("a", 1)
    assert ring.digest("a", None) != ring.digest("a", "")


def test_digests_are_keyed_and_bound_to_their_place():
    """Nobody without the key can try values, nor see that two customers share one."""
    assert KeyRing([OLD]).digest("a", "v") != KeyRing([NEW]).digest("a", "v")
    assert KeyRing([OLD]).digest("a", "v") != KeyRing([OLD]).digest("b", "v")
    assert "v" * 40 not in KeyRing([OLD]).digest("a", "v" * 40)


def test_a_digest_survives_rotation():
    """A value that did not change keeps its digest, so that a new ring makes no news."""
    held = KeyRing([OLD]).digest("a", "value")
    during = KeyRing([NEW, OLD])
    assert during.digest("a", "value", held) == held
    assert held != during.digest("a", "other", held)
    assert during.digest("a", "other", held) == during.digest("a", "other")


def test_a_digest_by_a_key_that_is_gone_counts_as_another_value():
    """It cannot be compared; the value gets a digest by the first key."""
    held = KeyRing([LOST]).digest("a", "value")
    ring = KeyRing([NEW, OLD])
    assert ring.digest("a", "value", held) == ring.digest("a", "value")


def test_lone_surrogates_have_a_digest():
    """Whatever JSON may hold."""
    ring = KeyRing([OLD])
    assert ring.digest("a", "\ud800") != ring.digest("a", "\ud801")


class File:
    """A key file as a ring is told of it. `looks`: how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[bytes] | None = None
        self.looks = 0

    def __call__(self) -> list[bytes] | None:
        """What has changed, told once."""
        self.looks += 1
        keys, self.keys = self.keys, None
        return keys


def test_a_ring_follows_its_file_when_it_seals(monkeypatch):
    """It looks at most once a second, and seals with the first of the new keys from then on."""
    seconds = iter((0.0, 0.0, 0.5, 0.9, 1.0, 1.0, 1.1))  # asked once more by each look
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("innkeeper.secrets.time", clock)
    file = File()
    ring, sealed = KeyRing([OLD], file), []
    for _ in range(5):
        sealed.append(seal(ring))
        file.keys = [NEW, OLD]
    by_new = [KeyRing([NEW]).is_current(one) for one in sealed]
    assert by_new == [False, False, False, True, True]
    assert file.looks == 2


def test_a_ring_looks_at_once_for_a_key_that_it_misses(monkeypatch):
    """What another process sealed with a key that was just added opens; no more than one look a
    second is caused by keys that are nowhere."""
    file = File()
    ring = KeyRing([OLD], file)
    sealed, lost = seal(KeyRing([NEW])), seal(KeyRing([LOST]))
    seal(ring)
    file.keys = [NEW, OLD]
    assert ring.open(*PLACE, sealed) == b"canary"
    looks = file.looks
    for _ in range(5):
        with pytest.raises(MissingKey):
            ring.open(*PLACE, lost)
    assert file.looks == looks
    monkeypatch.setattr("innkeeper.secrets._LOOK_SECONDS", 0.0)
    with pytest.raises(MissingKey):
        ring.open(*PLACE, lost)
    assert file.looks == looks + 1


def test_a_key_that_left_the_file_opens_nothing_any_more():
    """A ring is what its file says, old keys included."""
    file = File()
    file.keys = [NEW]
    ring = KeyRing([OLD], file)
    seal(ring)
    with pytest.raises(MissingKey):
        ring.open(*PLACE, seal(KeyRing([OLD])))


def test_sealing_anew():
    """Under the first key, at the same place and size; nothing where it is so already."""
    before, during, after = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    sealed = seal(before)
    anew = during.reseal(*PLACE, sealed, now=NOW)
    assert anew is not None
    assert after.open(*PLACE, anew) == b"canary"
    assert len(anew) == len(sealed)
    assert during.reseal(*PLACE, anew, now=NOW) is None
    with pytest.raises(MissingKey):
        after.reseal(*PLACE, sealed, now=NOW)
    with pytest.raises(Damaged):
        during.reseal(PLACE[0], 8, PLACE[2], sealed, now=NOW)
