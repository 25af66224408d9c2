"""Inns for a module's tests, and one that those share which only need a busy one.

Whatever happens, each is ended, and nothing of it is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.system.calls import Calls
from tests.system.listening import Listener
from tests.system.marketplaces import (
    REBILLY_PASSWORD,
    Account,
    Offering,
    rebilly_app,
    rsa_key,
    xurrent_app,
)
from tests.system.running import Inn

OpenInn = Callable[..., Inn]
_LOG_LINES = 80
_inns: list[Inn] = []

PROVIDER = Account(name="quay", domain="xurrent.invalid", key=rsa_key("quay"))
NOTES = Offering(provider=PROVIDER, reference="notes")
POSTS = Offering(provider=PROVIDER, reference="posts")
LIST = Offering(provider=PROVIDER, reference="list")
POST_SECRET = "whsec_" + "cXVheS1wb3N0LXNlY3JldC0yMDI2LTExLTI0"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the logs of the inns that are there when a test fails."""
    report = yield
    for inn in (inn for inn in _inns if report.failed and inn.log.exists()):
        lines = inn.log.read_text().splitlines()[-_LOG_LINES:]
        report.sections.append((f"log of {inn.folder}", "\n".join(lines)))
    return report


@pytest.fixture(scope="module")
def open_inn() -> Iterator[OpenInn]:
    """Makes inns, which are not started yet; arguments as for `Inn`."""
    with contextlib.ExitStack() as opened:

        def make(configuration: str | None = None, **environment: str) -> Inn:
            inn = Inn(configuration, **environment)
            _inns.append(inn)
            opened.callback(inn.end)
            return inn

        yield make


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    """Where the shared inn posts what happens to instances of POSTS."""
    with Listener() as listening:
        yield listening


@pytest.fixture(scope="session")
def shared(listener: Listener) -> Iterator[Inn]:
    """A running inn with three offerings on Xurrent and one on Rebilly; a test has own customers.

    Calls are made for the Rebilly app alone, posts for POSTS alone.
    """
    configuration = "".join(
        (
            *(xurrent_app(PROVIDER, offering.reference) for offering in (NOTES, POSTS, LIST)),
            rebilly_app("ledger", "app_1"),
            '[[follow_ups]]\nname = "provision"\non = ["enabled"]\napp = "ledger"\n'
            'call = "acme_hooks:note"\n',
            '[[follow_ups]]\nname = "revoke"\non = ["disabled"]\napp = "ledger"\n'
            'call = "acme_hooks:note"\n',
            '[[follow_ups]]\nname = "tell"\non = ["enabled", "suspended"]\napp = "posts"\n'
            f'post = "{listener.url}"\nsecret_env = "POST_SECRET"\n',
        )
    )
    inn = Inn(configuration, HOOK_PASSWORD=REBILLY_PASSWORD, POST_SECRET=POST_SECRET)
    _inns.append(inn)
    inn.environment["ACME_CALLS"] = str(inn.folder / "calls.jsonl")
    try:
        inn.start()
        yield inn
    finally:
        inn.end()


@pytest.fixture(scope="session")
def calls(shared: Inn) -> Calls:
    """What the vendor's functions of the shared inn have noted."""
    return Calls(shared.folder / "calls.jsonl")
