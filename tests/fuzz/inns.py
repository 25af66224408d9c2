"""An inn for a module of fuzzing: on the empty store, which hypothesis does not empty between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from innkeeper.config import Config, QueueSection, StoreSection
from innkeeper.operations.desk import open_desk
from innkeeper.store.connection import Store
from tests.conftest import KEY
from tests.inn import Inn


@contextlib.contextmanager
def inn_on(url: str, data: Path, **more: Any) -> Iterator[Inn]:
    """An inn with more of a configuration."""
    with contextlib.closing(Store(url)) as store:
        store.command("FLUSHALL")
    store_at, queue_at = StoreSection(url=url), QueueSection(url=url)
    config = Config(data=data, store=store_at, queue=queue_at, secret_keys=(KEY,), **more)
    with contextlib.closing(open_desk(config)) as desk:
        yield Inn(desk)
