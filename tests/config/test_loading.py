"""Where the configuration comes from, its defaults, and faults of the file as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from innkeeper.config import Bind, Config, ConfigFaults, load_config
from tests.config.conftest import FaultsOf, Load


def test_without_a_file_there_are_no_apps(tmp_path: Path) -> None:
    """Nothing configured gives the defaults, and the data folder in the working directory."""
    assert load_config(None, {}) == Config(data=tmp_path / ".innkeeper")


def test_the_file_is_looked_for_in_order(tmp_path: Path) -> None:
    """--config goes before INNKEEPER_CONFIG, and that before ./innkeeper.toml."""
    for name in ("innkeeper", "named", "given"):
        (tmp_path / f"{name}.toml").write_text("")
    environ = {"INNKEEPER_CONFIG": "named.toml"}
    assert load_config(Path("given.toml"), environ).source == tmp_path / "given.toml"
    assert load_config(None, environ).source == tmp_path / "named.toml"
    assert load_config(None, {}).source == tmp_path / "innkeeper.toml"


@pytest.mark.parametrize(
    ("path", "environ"), [(Path("no.toml"), {}), (None, {"INNKEEPER_CONFIG": "no.toml"})]
)
def test_a_named_file_must_exist(
    path: Path | None, environ: dict[str, str], tmp_path: Path
) -> None:
    """A file that is named and missing is a fault, not an empty configuration."""
    with pytest.raises(ConfigFaults, match="does not exist"):
        load_config(path, environ)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\n= 2\n", "line 2"),
        (b"a = 1\nb = '\xff'\n", "not UTF-8 (line 2)"),
        (b"#" * (1 << 20) + b"#", "larger than 1 MiB"),
        (b"a = " + b"[" * 100000, "nested too deeply"),
        (b"a = " + b"1" * 5000, "not TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(
    content: bytes, message: str, tmp_path: Path
) -> None:
    """Wrong TOML is told with file and line; a file of any content is a fault, not a crash."""
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigFaults) as raised:
        load_config(file, {})
    (fault,) = raised.value.faults
    assert fault.path == str(file)
    assert message in fault.message


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """What cannot be opened is a fault with its reason."""
    with pytest.raises(ConfigFaults, match="Is a directory"):
        load_config(tmp_path, {})


def test_the_data_folder_is_looked_for_in_order(tmp_path: Path) -> None:
    """--data goes before INNKEEPER_DATA; both are relative to the working directory."""
    environ = {"INNKEEPER_DATA": "kept"}
    assert load_config(None, environ, data=Path("given")).data == tmp_path / "given"
    assert load_config(None, environ).data == tmp_path / "kept"


def test_every_key_of_the_sections_is_read(load: Load) -> None:
    """What the file says of the services arrives, in seconds and bytes."""
    config = load("""
        [store]
        url = "rediss://u:p@store.example"
        durability = "everysec"
        [queue]
        url = "redis://queue.example"
        [receiver]
        bind = "127.0.0.1:9000"
        public_url = "https://hooks.acme.example/"
        max_body = "64KiB"
        headers_within = "5s"
        body_within = 6
        max_connections = 7
        trusted_proxies = ["10.0.0.0/8", "::1"]
        spool = false
        [console]
        bind = "[::1]:9001"
        [retention]
        deliveries = "1d"
        deliveries_bytes = "1GiB"
        rejected = "2d"
        removed_secrets = "0s"
        [outgoing]
        allow_hosts = ["Internal.example:81"]
        [metrics]
        allow = ["10.0.0.0/8"]
        [workers]
        perform = 4
    """)
    receiver, retention = config.receiver, config.retention
    assert (config.store.url, config.store.durability) == ("rediss://u:p@store.example", "everysec")
    assert config.queue.url == "redis://queue.example"
    assert receiver.bind == Bind(host="127.0.0.1", port=9000)
    assert receiver.public_url == "https://hooks.acme.example"
    assert (receiver.max_body, receiver.headers_within, receiver.body_within) == (65536, 5.0, 6.0)
    assert (receiver.max_connections, receiver.spool) == (7, False)
    assert receiver.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert config.console.bind == Bind(host="::1", port=9001)
    assert (retention.deliveries, retention.deliveries_bytes) == (86400.0, 1 << 30)
    assert (retention.rejected, retention.removed_secrets) == (172800.0, 0.0)
    assert config.outgoing.allow_hosts == ("internal.example:81",)
    assert config.metrics.allow == ("10.0.0.0/8",)
    assert config.workers.perform == 4


def test_the_environment_wins(load: Load) -> None:
    """Each variable goes before the file; an empty one counts as not set."""
    text = """
        [store]
        url = "redis://file"
        [receiver]
        bind = "127.0.0.1:1"
        [console]
        bind = "127.0.0.1:2"
    """
    environ = {
        "REDIS_URL": "redis://environment",
        "INNKEEPER_QUEUE_URL": "redis://queue",
        "INNKEEPER_RECEIVER_BIND": "127.0.0.1:3",
        "INNKEEPER_CONSOLE_BIND": "",
    }
    config = load(text, environ)
    assert config.store.url == "redis://environment"
    assert config.queue.url == "redis://queue"
    assert (config.receiver.bind.port, config.console.bind.port) == (3, 2)


def test_the_queue_shares_the_stores_server(load: Load) -> None:
    """With a store's URL and no queue's, both are one server."""
    assert load("", {"REDIS_URL": "redis://h"}).queue.url == "redis://h"
    assert load("").queue.url is None


def test_faults_of_variables_are_named_after_them(faults_of: FaultsOf) -> None:
    """A wrong variable is told by its name; a wrong value that it hides is told as well."""
    environ = {"REDIS_URL": "http://h", "INNKEEPER_RECEIVER_BIND": "nowhere"}
    found = faults_of("[store]\nurl = 'ftp://h'", environ)
    assert set(found) == {"REDIS_URL", "INNKEEPER_RECEIVER_BIND", "store.url"}


def test_all_faults_come_at_once(faults_of: FaultsOf) -> None:
    """Every wrong value is told with its path: wrong types, wrong words, unknown keys."""
    found = faults_of("""
        stroe = 1
        metrics = 5
        apps = [7]
        follow_ups = "x"
        [receiver]
        spool = "yes"
        max_conections = 1
        trusted_proxies = ["10.0.0.0/8", "x", 3]
        [store]
        durability = "fsnc"
        [outgoing]
        "od d" = 1
        [workers]
        perform = 0
        [retention]
        deliveries = true
    """)
    assert found == {
        "stroe": "unknown key (did you mean store?)",
        "metrics": "Expected a table, got `int`",
        "apps[0]": "Expected a table, got `int`",
        "follow_ups": "Expected `array`, got `str`",
        "receiver.spool": "Expected `bool`, got `str`",
        "receiver.max_conections": "unknown key (did you mean max_connections?)",
        "receiver.trusted_proxies[1]": (
            "is no IP network: 'x' does not appear to be an IPv4 or IPv6 network"
        ),
        "receiver.trusted_proxies[2]": "Expected `str`, got `int`",
        "store.durability": ("'fsnc' is none of fsync, everysec, memory (did you mean fsync?)"),
        'outgoing."od d"': "unknown key",
        "workers.perform": "0 is less than 1",
        "retention.deliveries": ('True is no duration, such as "500ms", "10s", "20m", "14d"'),
    }


def test_faults_are_lines() -> None:
    """As a text, faults are a line each: the path, a colon, the message."""
    with pytest.raises(ConfigFaults) as raised:
        load_config(None, {"REDIS_URL": "x", "INNKEEPER_QUEUE_URL": "y"})
    assert [line.split(": ")[0] for line in str(raised.value).splitlines()] == [
        "REDIS_URL",
        "INNKEEPER_QUEUE_URL",
    ]


def test_an_open_console_needs_a_token(faults_of: FaultsOf, load: Load) -> None:
    """A console that others reach is refused without a token."""
    text = "[console]\nbind = '0.0.0.0:8001'"
    assert "INNKEEPER_API_TOKEN" in faults_of(text)["console.bind"]
    assert load(text, {"INNKEEPER_API_TOKEN": "t"}).api_tokens == ("t",)


def test_a_token_in_its_file_opens_the_console(load: Load) -> None:
    """The file that `up` makes counts as the variable does."""
    text = "[console]\nbind = '0.0.0.0:8001'"
    made = load_config(None, {}, generate=True)
    assert load(text).api_tokens == made.api_tokens
