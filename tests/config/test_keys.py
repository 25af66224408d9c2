"""The key ring and the tokens: from the environment, from files, or made by `up`."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from innkeeper.config import ConfigFaults, load_config, require_keys, require_token

KEYS = [base64.b64encode(bytes([n]) * 32).decode() for n in range(2)]


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_and_tokens_of_the_environment() -> None:
    """Several are separated by commas, in their order."""
    config = load_config(
        None,
        {
            "INNKEEPER_SECRET_KEYS": f"{KEYS[0]}, {KEYS[1]}",
            "INNKEEPER_API_TOKEN": "one,two",
            "INNKEEPER_SECRETS_TOKEN": "three",
        },
    )
    assert config.secret_keys == (bytes(32), b"\x01" * 32)
    assert config.api_tokens == ("one", "two")
    assert config.secrets_token == "three"


def test_up_makes_them_once(tmp_path: Path) -> None:
    """They are kept in the data folder, for our eyes only, and found again by every service."""
    data = tmp_path / "deep" / "data"
    made = load_config(None, {}, data=data, generate=True)
    assert [len(key) for key in made.secret_keys] == [32]
    assert len(made.api_tokens[0]) >= 32
    assert (mode(data), mode(data / "secret-keys"), mode(data / "api-token")) == (
        0o700,
        0o600,
        0o600,
    )
    assert sorted(path.name for path in data.iterdir()) == ["api-token", "secret-keys"]
    assert load_config(None, {}, data=data, generate=True) == made
    assert load_config(None, {}, data=data) == made


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    """What the environment gives is not made, nor written down."""
    config = load_config(None, {"INNKEEPER_SECRET_KEYS": KEYS[0]}, generate=True)
    assert config.secret_keys == (bytes(32),)
    assert [path.name for path in config.data.iterdir()] == ["api-token"]


def test_two_that_start_at_once_have_the_same_keys(tmp_path: Path) -> None:
    """Whoever comes second takes the keys of the first."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: load_config(None, {}, generate=True), range(8)))
    assert len({(config.secret_keys, config.api_tokens) for config in made}) == 1


def test_nothing_is_made_under_a_faulty_configuration(tmp_path: Path) -> None:
    """A fault leaves no trace on disk."""
    with pytest.raises(ConfigFaults):
        load_config(None, {"REDIS_URL": "x"}, generate=True)
    assert list(tmp_path.iterdir()) == []


def test_an_open_console_gets_its_token_from_up() -> None:
    """`up` makes the token that an open console needs; a variable of commas is none."""
    environ = {"INNKEEPER_CONSOLE_BIND": "0.0.0.0:8001", "INNKEEPER_API_TOKEN": " , "}
    assert load_config(None, environ, generate=True).api_tokens


def test_a_service_alone_refuses_to_start_without_them() -> None:
    """Without keys or a token they stay empty, and whoever needs them says what to set."""
    config = load_config(None, {})
    with pytest.raises(ConfigFaults, match=r"INNKEEPER_SECRET_KEYS: .*openssl rand -base64 32"):
        require_keys(config)
    with pytest.raises(ConfigFaults, match="INNKEEPER_API_TOKEN: "):
        require_token(config)


def test_with_them_it_starts() -> None:
    """Keys and a token are enough."""
    config = load_config(None, {}, generate=True)
    require_keys(config)
    require_token(config)


@pytest.mark.parametrize("name", ["secret-keys", "api-token"])
@pytest.mark.parametrize("bits", [0o040, 0o004, 0o020])
def test_files_that_others_reach_are_refused(name: str, bits: int) -> None:
    """A file whose mode lets others in is a fault with the cure, and is not used."""
    path = load_config(None, {}, generate=True).data / name
    path.chmod(0o600 | bits)
    with pytest.raises(ConfigFaults, match="chmod 600") as raised:
        load_config(None, {})
    assert raised.value.faults[0].path == str(path)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("hunter2hunter2", "key 1"),
        (f"{KEYS[0]},{KEYS[0][:-4]}", "key 2"),
        (f"{KEYS[0]},{KEYS[0]}", "key 2 stands there twice"),
        ("ä" * 44, "key 1"),
    ],
)
@pytest.mark.parametrize("kept", [False, True])
def test_wrong_keys_are_faults(stated: str, message: str, kept: bool, tmp_path: Path) -> None:
    """A key that is none is told by its place and never quoted, wherever it stands."""
    file = tmp_path / ".innkeeper" / "secret-keys"
    if kept:
        file.parent.mkdir()
        file.touch(0o600)
        file.write_text(stated)
    with pytest.raises(ConfigFaults) as raised:
        load_config(None, {} if kept else {"INNKEEPER_SECRET_KEYS": stated})
    (fault,) = raised.value.faults
    assert fault.path == (str(file) if kept else "INNKEEPER_SECRET_KEYS")
    assert message in fault.message or not stated.isascii()
    assert not set(stated.split(",")) & set(fault.message.split())


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"INNKEEPER_API_TOKEN": "ä"}, "INNKEEPER_API_TOKEN"),
        ({"INNKEEPER_SECRETS_TOKEN": "a b"}, "INNKEEPER_SECRETS_TOKEN"),
        ({"INNKEEPER_API_TOKEN": "a", "INNKEEPER_SECRETS_TOKEN": "a"}, "INNKEEPER_SECRETS_TOKEN"),
    ],
)
def test_wrong_tokens_are_faults(environ: dict[str, str], path: str) -> None:
    """A token must fit into a header, and the one for secrets must be one of its own."""
    with pytest.raises(ConfigFaults) as raised:
        load_config(None, environ)
    assert [fault.path for fault in raised.value.faults] == [path]


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    """Where keys cannot be kept, none are used."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigFaults, match="cannot be"):
        load_config(None, {}, data=tmp_path / "file", generate=True)
