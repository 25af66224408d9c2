"""The key file beside running services: followed, rotated, and never half there."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from innkeeper.config import ConfigFaults, load_config
from innkeeper.config.key_file import (
    FollowedKeys,
    KeysBusy,
    add_key,
    locked,
    open_ring,
    read_keys,
    retire_keys,
    retired_path,
)
from innkeeper.secrets import KeyRing

KEYS = [bytes([n]) * 32 for n in range(3)]
PLACE = ("secret", 7, "somewhere")


def write(path: Path, *keys: bytes, mode: int = 0o600) -> None:
    """Put another file in its place, as a rotation does."""
    draft = path.with_name("draft")
    draft.write_text("".join(f"{base64.b64encode(key).decode()}\n" for key in keys))
    draft.chmod(mode)
    draft.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one key."""
    write(tmp_path / "secret-keys", KEYS[0])
    return tmp_path / "secret-keys"


def test_what_has_not_changed_is_not_read_again(path: Path) -> None:
    """The first look finds what is known, the next ones do not even open the file."""
    follow = FollowedKeys(path, (KEYS[0],))
    assert follow() is None
    path.touch(0o600)
    os.utime(path, (1, 1))
    assert follow() is None
    write(path, KEYS[1], KEYS[0])
    assert follow() == (KEYS[1], KEYS[0])
    assert follow() is None


def test_what_changed_before_the_first_look_is_found(path: Path) -> None:
    """Between the reading of the configuration and the first delivery a rotation may begin."""
    write(path, KEYS[1], KEYS[0])
    assert FollowedKeys(path, (KEYS[0],))() == (KEYS[1], KEYS[0])


def test_a_bad_file_changes_nothing_and_is_said_once(path: Path) -> None:
    """Emptied, cut off, open to others, gone: until it is right again, the old keys hold."""
    follow = FollowedKeys(path, (KEYS[0],))
    follow()

    def spoil(content: str, mode: int = 0o600) -> None:
        path.write_text(content)
        path.chmod(mode)

    good = base64.b64encode(KEYS[1]).decode()
    for change in (
        lambda: spoil(""),
        lambda: spoil(good[:20]),
        lambda: spoil(f"{good}\n{good}"),
        lambda: spoil(good, 0o640),
        path.unlink,
    ):
        change()
        with capture_logs() as logs:
            assert [follow() for _ in range(3)] == [None] * 3
        assert [line["event"] for line in logs] == ["secret_keys.unusable"]
        assert good[:20] not in str(logs)
    write(path, KEYS[1])
    with capture_logs() as logs:
        assert follow() == (KEYS[1],)
    assert [line["event"] for line in logs] == ["secret_keys.changed"]


def test_only_rings_of_a_file_follow_it(path: Path, tmp_path: Path) -> None:
    """Keys of the environment stay what they were at the start."""
    variable = {"INNKEEPER_SECRET_KEYS": base64.b64encode(KEYS[2]).decode()}
    by_file, by_variable = (load_config(None, e, data=tmp_path) for e in ({}, variable))
    assert (by_file.secret_keys_file, by_variable.secret_keys_file) == (path, None)
    rings = open_ring(by_file), open_ring(by_variable)
    write(path, KEYS[1], KEYS[0])
    for ring, key in zip(rings, (KEYS[1], KEYS[2]), strict=True):
        assert KeyRing([key]).is_current(ring.seal(*PLACE, b"canary", now=0.0))


def test_a_new_key_goes_in_front(path: Path) -> None:
    """Of all that were there, in a file of the same mode; nothing else is left in the folder."""
    write(path, KEYS[1], KEYS[0])
    first, *others = add_key(path)
    assert others == [KEYS[1], KEYS[0]]
    assert read_keys(path) == (first, *others)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["secret-keys"]


def test_retired_keys_are_kept_beside_it(path: Path, tmp_path: Path) -> None:
    """Each once, for our eyes only, under a line that says what it is; nothing reads it."""
    write(path, KEYS[1], KEYS[0])
    assert retire_keys(path, KEYS[1]) == 1
    assert read_keys(path) == (KEYS[1],)
    retired = retired_path(path)
    assert retired.name == "secret-keys.retired"
    assert stat.S_IMODE(retired.stat().st_mode) == 0o600
    assert retire_keys(path, KEYS[1]) == 0
    write(path, KEYS[2], KEYS[1], KEYS[0])  # as if it had been killed between the two files
    with pytest.raises(KeysBusy, match="changed"):
        retire_keys(path, KEYS[1])
    assert retire_keys(path, KEYS[2]) == 2
    lines = retired.read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        base64.b64encode(key).decode() for key in (KEYS[0], KEYS[1])
    ]
    assert load_config(None, {}, data=tmp_path).secret_keys == (KEYS[2],)


def test_a_linked_file_stays_one(path: Path, tmp_path: Path) -> None:
    """What the link leads to is exchanged, not the link."""
    link = tmp_path / "elsewhere" / "secret-keys"
    link.parent.mkdir()
    link.symlink_to(path)
    keys = add_key(link)
    assert link.is_symlink()
    assert read_keys(path) == keys


def test_one_rotation_at_a_time(path: Path) -> None:
    """The second is turned away, and may come once the first has ended."""
    with locked(path), pytest.raises(KeysBusy), locked(path):
        raise AssertionError("both are at it")
    with locked(path):
        pass


def test_a_file_that_is_no_ring_is_not_rotated(path: Path) -> None:
    """Whatever is wrong with it stays as it is."""
    path.write_text("hunter2hunter2")
    with pytest.raises(ConfigFaults):
        add_key(path)
    with pytest.raises(ConfigFaults):
        retire_keys(path, KEYS[0])
    assert path.read_text() == "hunter2hunter2"
    path.unlink()
    with pytest.raises(ConfigFaults, match="does not exist"):
        add_key(path)
