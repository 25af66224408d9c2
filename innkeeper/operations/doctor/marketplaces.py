"""Checks of the marketplaces: a real sign-in and a look at the list for each app with an API, and
the keys of each issuer that is asked for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from innkeeper.config import App, Config, Discovery, XurrentApp
from innkeeper.operations.doctor.findings import fine, warning, wrong
from innkeeper.outgoing import Forbidden, Outgoing, Unreachable
from innkeeper.platforms import WITH_WEBHOOKS, client_of
from innkeeper.platforms.api_errors import ApiError, RateLimited, Refused
from innkeeper.platforms.discovery import BadDocument, fetch_keys
from innkeeper.platforms.sign_in import Tokens
from innkeeper.store.trust import Finding


class OwnTokens:
    """Tokens for one look: none is there before, so that each client has to sign in anew.

    Sign-ins are counted with those of the workers, where a store is there to count them.
    """

    def __init__(self, shared: Tokens | None) -> None:
        self._shared = shared
        self._held: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        """The token of this look."""
        return self._held.get(name)

    def put(self, name: str, token: str, *, lives_seconds: float) -> None:
        """Keep a token for this look."""
        self._held[name] = token

    def drop(self, name: str, token: str) -> None:
        """Forget a token, if it still is that one."""
        if self._held.get(name) == token:
            del self._held[name]

    def lease(self, name: str, seconds: float) -> bool:
        """Always: whoever else signs in does so for another token."""
        return True

    def release(self, name: str) -> None:
        """Nothing is held."""

    def attempts(self, name: str, *, per_seconds: float, at_most: int) -> int:
        """Count a sign-in among those of the workers."""
        if self._shared is None:
            return 1
        return self._shared.attempts(name, per_seconds=per_seconds, at_most=at_most)


def checks(
    config: Config, outgoing: Outgoing, tokens: Tokens
) -> list[tuple[str, Callable[[], list[Finding]]]]:
    """A check for each app, and one for each issuer."""
    sign_ins = [(_name(app), partial(_sign_in, app, outgoing, tokens)) for app in config.apps]
    issuers = [
        (f"{_name(app)}, keys", partial(_discover, app, app.policy, outgoing))
        for app in config.apps
        if isinstance(app, XurrentApp) and isinstance(app.policy, Discovery)
    ]
    return [*sign_ins, *issuers]


def _name(app: App) -> str:
    return f"{app.platform}/{app.name}"


def _sign_in(app: App, outgoing: Outgoing, tokens: Tokens) -> list[Finding]:
    name = _name(app)
    if app.api is None:
        said = "it has no [apps.api]: nothing is read back, confirmed or reconciled"
        return [(fine if app.platform in WITH_WEBHOOKS else warning)(name, said)]
    client = client_of(app.platform).open_client(app, outgoing, tokens, now=time.time)
    try:
        next(iter(client.instances()), None)
    except RateLimited as error:
        said = f"{error.message}; to be asked again in {error.delay_seconds:.0f} s"
        return [warning(name, said)]
    except Refused as error:
        said = f"its credentials are refused ({error.message}): set [apps.api] of this app right"
        return [wrong(name, said)]
    except ApiError as error:
        return [wrong(name, f"its list cannot be read: {type(error).__name__}: {error.message}")]
    return [fine(name, f"signed in, and its list can be read at {app.api.base_url}")]


def _discover(app: XurrentApp, policy: Discovery, outgoing: Outgoing) -> list[Finding]:
    name = f"{_name(app)}, keys"
    issuer = policy.issuer or f"https://{app.account}.{app.domain}"
    try:
        keys = fetch_keys(outgoing, issuer, algorithm=policy.algorithm, audience=policy.audience)
    except (Unreachable, Forbidden, BadDocument) as error:
        said = f"the issuer {issuer} gives no keys ({error}): what is known serves for a day more"
        return [wrong(name, said)]
    return [fine(name, f"the issuer {issuer} gives {len(keys)}")]
