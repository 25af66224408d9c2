"""Xurrent's API as it shows instances to their provider, and the desk with which to have them read.

It shows what a trial has put there, from the first moment on; whatever is read is that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from innkeeper.config.loading import load_config
from innkeeper.operations.desk import Desk, open_desk
from tests.faults.trial import Trial
from tests.sites import Reply, reply, site

TOKEN = "a-provider's-token"
_PER_PAGE = 100


class Shown(dict[str, Reply]):
    """The instances of one offering, by the marketplace's id."""

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.port = 0
        self._reference = reference
        self.accounts: set[str] = set()
        self._instances: dict[int, dict[str, Any]] = {}

    @property
    def configuration(self) -> str:
        """What the app's configuration says of it."""
        url = f"http://127.0.0.1:{self.port}"
        return f'[apps.api]\ntoken_env = "SHOWN_TOKEN"\nbase_url = "{url}/v1"\n'

    def show(self, number: int, account: str, flags: dict[str, bool] | None) -> None:
        """How the instance is from now on; None: it is not there."""
        self.accounts.add(account)
        if flags is None:
            return
        self._instances[number] = {
            "id": number,
            "app_offering": {"reference": self._reference},
            "customer_account": {"id": account, "name": account},
            **flags,
        }

    def get(self, target: str, default: Any = None) -> Any:
        """The answer to a request of this target."""
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        kind, _, number = path.removeprefix("/v1/").partition("/")
        if kind != "app_instances":
            return default
        if not number:
            return self._page(int(query.get("page", "1")))
        known = self._instances.get(int(number))
        return default if known is None else _said(known)

    def _page(self, number: int) -> bytes:
        start = (number - 1) * _PER_PAGE
        page = [self._instances[one] for one in sorted(self._instances)[start : start + _PER_PAGE]]
        more = len(self._instances) > start + _PER_PAGE
        following = f'Link: </v1/app_instances?page={number + 1}>; rel="next"'
        return _said(page, *[following] * more)


@contextmanager
def showing(reference: str) -> Iterator[Shown]:
    """The API, for the time of a trial; nothing is there yet."""
    with site() as running:
        running.replies = shown = Shown(reference)
        shown.port = running.port
        yield shown


@contextmanager
def desk_of(trial: Trial) -> Iterator[Desk]:
    """A desk as the trial's services have theirs."""
    file = trial.folder / "innkeeper.toml"
    with closing(open_desk(load_config(file, trial.variables(), data=trial.data))) as desk:
        yield desk


def _said(document: Any, *headers: str) -> bytes:
    return reply(
        "200 OK", json.dumps(document).encode(), "Content-Type: application/json", *headers
    )
