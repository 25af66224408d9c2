"""Receivers on the session's Valkey, and apply beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from innkeeper.config import Config, QueueSection, ReceiverSection, StoreSection
from innkeeper.operations.desk import Desk
from innkeeper.store.connection import Store
from innkeeper_workers.apply import Applying
from tests.conftest import KEY, MakeDesk
from tests.deliveries import rebilly_app, xurrent_app
from tests.receiver.running import Running

Start = Callable[..., Running]


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory, valkey_url: str) -> Config:
    """An app on each marketplace that sends anything; no spool: the session shares the folder."""
    return Config(
        data=tmp_path_factory.mktemp("receiver"),
        receiver=ReceiverSection(spool=False),
        store=StoreSection(url=valkey_url),
        queue=QueueSection(url=valkey_url),
        apps=(xurrent_app(), rebilly_app()),
        secret_keys=(KEY,),
        api_tokens=("open-sesame",),
    )


@pytest.fixture
def start(config: Config, store: Store) -> Iterator[Start]:
    """Starts receivers on the empty store, with changes of the configuration."""
    with contextlib.ExitStack() as started:

        def start_one(**changes: object) -> Running:
            running = Running(replace(config, **changes))
            started.callback(running.stop)
            return running.until_ready()

        yield start_one


@pytest.fixture(scope="module")
def standing(config: Config) -> Iterator[Running]:
    """A receiver that stays for a module; starting one takes longer than most tests."""
    running = Running(config).until_ready()
    yield running
    running.stop()


@pytest.fixture
def receiver(standing: Running, store: Store) -> Running:
    """A receiver with the configuration as it is, on the empty store."""
    return standing


@pytest.fixture
def desk(config: Config, make_desk: MakeDesk) -> Desk:
    """The desk that workers and operators have of the same store."""
    return make_desk(config)


@pytest.fixture
def apply_all(desk: Desk) -> Callable[[], None]:
    """Folds whatever the log holds, as the apply worker does."""

    def run() -> None:
        while Applying(desk).look():
            pass

    return run
