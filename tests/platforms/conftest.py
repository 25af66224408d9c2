"""A marketplace's API for a test: a real server that answers in turn and remembers what it got."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from innkeeper.outgoing import Outgoing
from innkeeper.secrets import KeyRing
from innkeeper.store.connection import Store
from innkeeper.store.tokens import Tokens
from tests.platforms.apis import Api
from tests.sites import site


@pytest.fixture
def api() -> Iterator[Api]:
    """An API on loopback without any path."""
    with site() as running:
        yield Api(running)


@pytest.fixture
def outgoing() -> Outgoing:
    """The guarded client, as services have it."""
    return Outgoing()


@pytest.fixture
def tokens(store: Store, ring: KeyRing) -> Tokens:
    """No token yet."""
    return Tokens(store, ring)
