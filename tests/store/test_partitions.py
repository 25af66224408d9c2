"""Partitions: where instances belong, and what ids may look like."""

from __future__ import annotations

import hashlib

import pytest
from redis.crc import key_slot

from innkeeper.lifecycle.events import DeliveryId, InstanceKey
from innkeeper.store.entry import delivery_id, new_delivery_id, raw_id
from innkeeper.store.keys import keys_of
from innkeeper.store.partitions import PARTITIONS, TAGS, partition_in, partition_of

_SLOTS = 16384


def test_the_tags_lie_evenly():
    """Tag p lies in the p-th 64th of a cluster's slots, and no two are alike."""
    assert [key_slot(f"{{{tag}}}".encode()) * 64 // _SLOTS for tag in TAGS] == list(range(64))
    assert len(set(TAGS)) == 64


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_partitions_keys_share_a_slot(partition: int):
    """All keys of a partition, with whatever is put behind them, lie in the slot of its tag."""
    names = [value for value in vars(keys_of(partition)).values() if isinstance(value, str)]
    slots = {key_slot(f"{name}xurrent/a{{b}}/c".encode()) for name in names}
    assert {key_slot(TAGS[partition].encode())} == slots


def test_no_two_keys_of_a_partition_are_alike():
    """Every kind of thing has a key of its own, and none is a prefix that another could fill."""
    names = [v for k, v in vars(keys_of(0)).items() if isinstance(v, str) and k != "prefix"]
    assert len(names) == len(set(names))
    prefixes = [name for name in names if name.endswith(":")]
    taken = {n for p in prefixes for n in names if n != p and n.startswith(p)}
    # What follows `rejected:` holds slashes.
    assert taken == {keys_of(0).rejected_bytes, keys_of(0).rejected_rings}


@pytest.mark.parametrize(
    "name", ["xurrent/app/wdc", "rebilly/app/Ünïcode", "xurrent/app/-", "rebilly/a/b/c"]
)
def test_an_instance_has_one_partition_for_ever(name: str):
    """The partition is the first 8 bytes of SHA-256 of the exact name, modulo 64."""
    expected = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 64
    assert expected == partition_of(InstanceKey.parse(name))


def test_known_partitions():
    """Names that stand in stores already belong where they always did."""
    assert partition_of(InstanceKey("xurrent", "wdc_siebel", "wdc")) == 32
    assert partition_of(InstanceKey("rebilly", "helpdesk", "acme")) == 48


def test_instances_spread_evenly():
    """Of many instances each partition gets its share."""
    counts = [0] * 64
    for number in range(6400):
        counts[partition_of(InstanceKey("xurrent", "app", f"customer-{number}"))] += 1
    assert min(counts) > 60
    assert max(counts) < 150


def test_an_id_names_its_partition():
    """A delivery's id begins with its instance's partition and survives the way into scripts."""
    key = InstanceKey("xurrent", "app", "wdc")
    delivery = new_delivery_id(key, now=1_790_000_000.5)
    assert partition_of(key) == partition_in(delivery)
    assert len(raw_id(delivery)) == 16
    assert delivery == delivery_id(partition_of(key), raw_id(delivery))
    assert int.from_bytes(raw_id(delivery)[:6], "big") == 1_790_000_000_500
    assert delivery.partition("-")[2][14] == "7"


def test_ids_grow_with_time():
    """An id made a millisecond later sorts behind."""
    key = InstanceKey("xurrent", "app", "wdc")
    ids = [new_delivery_id(key, now=1_790_000_000 + step / 1000) for step in range(50)]
    assert ids == sorted(ids)


HOSTILE = ("7", "7-", "-7", "64-a", "-1-a", "+7-a", " 7-a", "7 -a", "x-a", "٧-a", "0x7-a", "7_0-a")


@pytest.mark.parametrize("name", ["", "-", *HOSTILE, "07-a", "9" * 5000 + "-a"])
def test_what_is_no_id_is_refused(name: str):
    """Anything without a partition in front raises ValueError, with a short message."""
    with pytest.raises(ValueError, match="no such id") as raised:
        partition_in(name)
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize("name", ["7--", "7-ab", "7-zz", "7-" + "ab" * 17, "7-" + "ä" * 32])
def test_what_is_no_id_has_no_bytes(name: str):
    """Behind the partition has to stand an id of 16 bytes, else ValueError."""
    with pytest.raises(ValueError, match=r"no such id|hexadecimal"):
        raw_id(DeliveryId(name))
