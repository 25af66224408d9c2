"""What must hold among the apps: unique names and references, and one policy per provider.

Called by `app_tables` once every app is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from innkeeper.config.apps import App, XurrentApp
from innkeeper.config.provider_policies import ProviderPolicy, with_policy
from innkeeper.config.reading import Reading
from innkeeper.config.units import shown


class AppTable(msgspec.Struct, frozen=True, kw_only=True):
    """An app as read, and where it stands. `policy`: None where the app states none."""

    path: str
    app: App
    policy: ProviderPolicy | None = None


def note_repetitions(reading: Reading, read: Sequence[AppTable]) -> None:
    """Names must be unique per platform, and so must what routes a delivery to an app."""
    names: dict[tuple[str, str], str] = {}
    offerings: dict[tuple[str, ...], str] = {}
    for found in read:
        app = found.app
        first = names.setdefault((app.platform, app.name), found.path)
        if first != found.path and app.name:
            reading.fault(f"{found.path}.name", f"{app.name} is the name of {first}, too")
        provider = (app.account, app.domain) if isinstance(app, XurrentApp) else ()
        offering = (app.platform, *provider, app.reference)
        first = offerings.setdefault(offering, found.path)
        if first != found.path and "" not in offering:
            message = f"{shown(app.reference)} is the reference of {first}, too"
            reading.fault(f"{found.path}.reference", message)


def with_lent_policies(reading: Reading, read: Sequence[AppTable]) -> tuple[App, ...]:
    """The apps, those without a policy of their own with that of their provider's others."""
    stated: dict[tuple[str, str], set[ProviderPolicy]] = {}
    for found in read:
        if isinstance(found.app, XurrentApp) and found.policy is not None:
            stated.setdefault((found.app.account, found.app.domain), set()).add(found.policy)
    settled: list[App] = []
    for found in read:
        app = found.app
        if isinstance(app, XurrentApp) and found.policy is None:
            app = _with_lent(reading, found.path, app, stated.get((app.account, app.domain), set()))
        settled.append(app)
    return tuple(settled)


def _with_lent(
    reading: Reading, path: str, app: XurrentApp, lent: set[ProviderPolicy]
) -> XurrentApp:
    if not (app.account and app.domain) or any(policy.policy is None for policy in lent):
        return app  # because of a fault that is noted elsewhere
    if len(lent) == 1:
        return with_policy(app, next(iter(lent)))
    provider = f"{app.account} on {app.domain}"
    if lent:
        message = f"is missing, and the other apps of {provider} differ in theirs"
    else:
        message = f"is missing, and no other app of {provider} has one"
    reading.fault(f"{path}.policy", message)
    return app
