"""Rotation of the key ring: beside live traffic, interrupted, and never too early."""

from __future__ import annotations

import base64
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from innkeeper.config import Config
from innkeeper.config.key_file import KeysBusy, locked, read_keys, retired_path
from innkeeper.operations import rotating
from innkeeper.operations.desk import Desk
from innkeeper.operations.rotating import OneKey, Rotated, rotate
from innkeeper.secrets import KeyRing, MissingKey, id_of_key
from innkeeper.spool import Spool
from innkeeper.store.keys import keys_of
from innkeeper.store.log import prepare
from innkeeper.store.partitions import PARTITIONS, partition_of
from innkeeper.store.resealing import Resealing
from innkeeper_workers.folding import Folding
from tests.conftest import MakeDesk
from tests.inn import Inn, brings_secrets, config_of, key_of, rebilly, states
from tests.processes import line_of, python
from tests.standing import newest, standing_of
from tests.store.making import new_entry

OLD, LOST = b"o" * 32, b"l" * 32
ROTATE = """
import os, signal, sys
from pathlib import Path
from innkeeper.config import load_config
from innkeeper.operations import rotating
from innkeeper.operations.desk import open_desk

rotating.SEEN_WITHIN_SECONDS = rotating.ON_ITS_WAY_SECONDS = 0.0

def progress(number, done, total):
    if (number - 1) * total + done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

desk = open_desk(load_config(None, {"REDIS_URL": sys.argv[1]}, data=Path(sys.argv[2])))
print(rotating.rotate(desk, progress).kept, flush=True)
"""


def nothing(*_: int) -> None:
    """Nobody watches."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The key file, with one key."""
    path = tmp_path / "secret-keys"
    path.touch(0o600)
    path.write_text(base64.b64encode(OLD).decode())
    return path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which nothing else runs."""
    monkeypatch.setattr(rotating, "SEEN_WITHIN_SECONDS", 0.0)
    monkeypatch.setattr(rotating, "ON_ITS_WAY_SECONDS", 0.0)


MakeInn = Callable[..., Inn]


@pytest.fixture
def make_inn(make_desk: MakeDesk, path: Path) -> MakeInn:
    """Makes inns whose keys come from the file, or are the ones given."""

    def make(*keys: bytes) -> Inn:
        config: Config = config_of(path.parent)
        if keys:
            return Inn(make_desk(replace(config, secret_keys=keys)))
        return Inn(make_desk(replace(config, secret_keys=(OLD,), secret_keys_file=path)))

    return make


def fill(inn: Inn) -> None:
    """Customers with secrets, and a refusal."""
    for number in range(20):
        inn.post(states(f"acme{number}"))
        inn.post(brings_secrets(f"acme{number}", secret=f"canary-{number}"))
    inn.apply()
    inn.refuse(rebilly(password="wrong"))


def open_everything(desk: Desk) -> int:
    """Open all that is stored sealed; how many entries that were. Raises MissingKey, Damaged."""
    opened = 0
    for partition in PARTITIONS:
        for entry in newest(desk.log, partition, limit=10_000):
            whole = desk.log.at(partition, entry.stream_id)
            assert whole is not None
            whole.event(desk.ring)
            desk.log.captured(entry)
            opened += 1
        for name in desk.store.command("ZRANGE", keys_of(partition).by_id, 0, -1):
            line = desk.register.line(key_of(name.decode().rpartition("/")[2]))
            assert line is not None
            assert set(desk.register.secrets(line.instance)) == set(line.instance.secrets)
    desk.rejected.all(now=time.time())
    desk.digests.of(key_of())("token", "value")
    return opened


def only_the_new(inn_of: MakeInn, path: Path) -> int:
    """Open everything with the ring as the file has it now: of one key, which is not the old."""
    (key,) = read_keys(path)
    assert key != OLD
    return open_everything(inn_of(key).desk)


@pytest.mark.usefixtures("at_once")
def test_the_old_key_is_not_needed_any_more(make_inn: MakeInn, path: Path):
    """The new one alone opens everything; the old one is kept beside the file, and opens what it
    did, but nothing that is stored."""
    inn = make_inn()
    fill(inn)
    rotated = rotate(inn.desk, nothing)
    assert rotated.kept is None
    assert (rotated.retired, rotated.retired_to) == (1, str(retired_path(path)))
    assert rotated.resealed["secrets"] == 40
    assert only_the_new(make_inn, path) == 40
    assert base64.b64encode(OLD).decode() in retired_path(path).read_text()
    with pytest.raises(MissingKey):
        open_everything(make_inn(OLD).desk)
    assert OLD.hex() not in str(rotated)
    assert base64.b64encode(read_keys(path)[0]).decode() not in str(rotated)


@pytest.mark.usefixtures("at_once")
def test_the_same_secrets_are_no_news_afterwards(make_inn: MakeInn):
    """Digests outlive the rotation: a customer whose secrets come again has not changed."""
    inn = make_inn()
    inn.post(states())
    inn.post(brings_secrets(secret="canary-same"))
    inn.apply()
    before = inn.desk.register.notices(key_of())
    assert [str(one.name) for one in before] == ["secrets_updated"]
    assert rotate(inn.desk, nothing).kept is None
    later = make_inn()
    later.post(brings_secrets(secret="canary-same"))
    later.apply()
    assert later.desk.register.notices(key_of()) == before


class Traffic(threading.Thread):
    """A receiver and a worker of their own, busy until they are told to stop."""

    def __init__(self, inn: Inn) -> None:
        super().__init__()
        self._inn = inn
        self._ended = threading.Event()
        self.posted = 0
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                account = f"live{self.posted % 50}"
                self._inn.post(states(account))
                self._inn.post(brings_secrets(account, secret=f"canary-{self.posted}"))
                self._inn.refuse(rebilly(password="wrong"))
                self._inn.apply()
                self.posted += 2
        except Exception as error:
            self.failed = error

    def stop(self) -> None:
        """Let what is under way be done."""
        self._ended.set()
        self.join()


def test_beside_live_traffic(make_inn: MakeInn, path: Path):
    """Services that run meanwhile change over by themselves: nothing that they store stays under
    the old key, nothing fails, and nothing is a dead letter."""
    inn = make_inn()
    fill(inn)
    traffic = Traffic(make_inn())
    traffic.start()
    rotated = rotate(inn.desk, nothing)
    traffic.stop()
    assert traffic.failed is None
    assert rotated.kept is None
    assert traffic.posted > 100
    assert only_the_new(make_inn, path) == traffic.posted + 40
    counts = standing_of(inn.desk.store).counts
    assert (counts["applied"], counts["dead"]) == (traffic.posted + 40, 0)
    assert inn.desk.troubles.all() == {}


@pytest.mark.parametrize("steps", [1, 70, 130])
def test_killed_in_the_middle_it_goes_on(
    make_inn: MakeInn, path: Path, valkey_url: str, steps: int
):
    """Wherever it was killed, everything opens with the keys of the file; run again it ends with
    the key that it had begun with."""
    inn = make_inn()
    fill(inn)
    with python(ROTATE, valkey_url, path.parent, steps) as process:
        assert line_of(process) == ""
        assert process.wait() == -signal.SIGKILL
    keys = read_keys(path)
    assert keys[1:] == (OLD,)
    assert open_everything(make_inn(*keys).desk) == 40
    with python(ROTATE, valkey_url, path.parent, 0) as process:
        assert line_of(process) == "None"
    assert read_keys(path) == keys[:1]
    assert only_the_new(make_inn, path) == 40


@pytest.mark.usefixtures("at_once")
def test_what_the_spool_holds_keeps_the_old_key(make_inn: MakeInn, path: Path):
    """It was sealed before it was put there: the old key stays until it is drained, and nothing is
    sealed with it meanwhile."""
    inn = make_inn()
    fill(inn)
    spool = Spool(path.parent, most_bytes=1 << 20)
    entry = prepare(new_entry(), inn.desk.ring)
    spool.put([entry], now=time.time())
    rotated = rotate(inn.desk, nothing)
    assert rotated.kept == "the spool of this host still holds 1 deliveries"
    assert (rotated.retired, read_keys(path)[1:]) == (0, (OLD,))
    spool.drop(spool.oldest(1, now=time.time()))
    spool.close()
    again = rotate(inn.desk, nothing)
    assert (again.kept, again.key, again.retired) == (None, rotated.key, 1)


@pytest.mark.usefixtures("at_once")
def test_a_service_that_does_not_follow_keeps_the_old_key(make_inn: MakeInn, path: Path):
    """As long as somebody seals with it, each pass finds something, and it is said so."""
    inn, stubborn = make_inn(), make_inn(OLD)

    def seal(_: int, done: int, total: int) -> None:
        if done == total:
            stubborn.post(states("stubborn"))

    rotated = rotate(inn.desk, seal)
    assert rotated.kept is not None
    assert "still being sealed with an old key" in rotated.kept
    assert read_keys(path)[1:] == (OLD,)
    assert rotate(inn.desk, nothing).kept is None


@pytest.mark.usefixtures("at_once")
def test_what_no_key_opens_is_told(make_inn: MakeInn, path: Path):
    """Values of a key that is not in the ring are not ours to give up: nothing is retired."""
    inn, lost = make_inn(), make_inn(LOST)
    lost.post(states())
    rotated = rotate(inn.desk, nothing)
    assert rotated.kept is not None
    assert f"{id_of_key(LOST).hex()} (2 values)" in rotated.kept
    assert len(read_keys(path)) == 2


def test_a_batch_under_way_brings_no_old_value_back(make_inn: MakeInn, path: Path):
    """Apply has read a secret, rotation seals it anew, apply commits: the new one stays."""
    inn = make_inn()
    inn.post(brings_secrets(secret="canary-1"))
    inn.apply()
    inn.post(brings_secrets(secret="canary-2"))
    partition = partition_of(key_of())
    batch = inn.desk.log.read(partition)
    folding = Folding(inn.desk, partition, batch.cursor, batch.entries)
    for entry in batch.entries:
        folding.take(entry)
    new = KeyRing([LOST, OLD])
    list(Resealing(inn.desk.store, new).run())
    folding.finish()
    assert folding.commit.run(inn.desk.store, batch.entries[-1].stream_id)
    sealed = inn.desk.register.sealed_secrets([key_of()])[0]
    current = sorted(new.is_current(value) for value in sealed.values())
    assert current == [False, True, True]  # the value that this batch brought is found later
    assert list(Resealing(inn.desk.store, new).run())
    assert Resealing(inn.desk.store, new).found == 0


def test_two_rotations_at_once(make_inn: MakeInn, path: Path):
    """The second is turned away."""
    inn = make_inn()
    with locked(path), pytest.raises(KeysBusy):
        rotate(inn.desk, nothing)
    assert read_keys(path) == (OLD,)


@pytest.mark.usefixtures("at_once")
def test_keys_of_the_environment(make_inn: MakeInn, path: Path):
    """Everything is sealed under the first, and it is said which may be taken out; no file is
    touched, and one key alone cannot be changed over from."""
    before = path.read_text()
    fill(make_inn(OLD))
    with pytest.raises(OneKey):
        rotate(make_inn(OLD).desk, nothing)
    rotated = rotate(make_inn(LOST, OLD).desk, nothing)
    assert rotated.may_go == (id_of_key(OLD).hex(),)
    assert _without_counts(rotated) == (id_of_key(LOST).hex(), 0, None, None)
    assert open_everything(make_inn(LOST).desk) == 40
    assert path.read_text() == before


def _without_counts(rotated: Rotated) -> tuple[Any, ...]:
    return rotated.key, rotated.retired, rotated.retired_to, rotated.kept
