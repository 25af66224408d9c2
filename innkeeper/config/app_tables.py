"""Reads `[[apps]]`: each marketplace's own keys, then what holds among all apps.

Called by `loading`. Knows no verification and no REST call.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from innkeeper.config.api_tables import read_rebilly_api, read_xandr_api, read_xurrent_api
from innkeeper.config.apps import (
    PLATFORMS,
    App,
    RebillyApp,
    Removals,
    XandrApp,
    XurrentApp,
)
from innkeeper.config.apps_together import AppTable, note_repetitions, with_lent_policies
from innkeeper.config.credentials import read_credential
from innkeeper.config.hosts import host_name, network
from innkeeper.config.provider_policies import read_policy, with_policy
from innkeeper.config.reading import Table
from innkeeper.config.units import (
    at_least,
    duration,
    integer,
    matching,
    number,
    one_of,
    positive_duration,
    shown,
    text,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_name = matching(
    _NAME.pattern, "a name of 1 to 64 letters, digits, '.', '_', '-', starting with no sign"
)
_platform = one_of(*PLATFORMS)
_account = matching(r"(?!-$)[A-Za-z0-9_-]{1,64}", "an account of 1 to 64 letters, digits, '_', '-'")


def read_apps(document: Table) -> tuple[App, ...]:
    """All apps of the file whose platform is known, checked each and against each other."""
    read = [found for table in document.tables("apps") if (found := _read_app(table))]
    note_repetitions(document.reading, read)
    return with_lent_policies(document.reading, read)


def _read_app(table: Table) -> AppTable | None:
    platform = table.need("platform", _platform, "")
    if not platform:
        return None
    found = _READERS[platform](table)
    table.end()
    return found


def _reference(value: object) -> str:
    found = text(value)
    if found == "-":
        raise ValueError("'-' stands for none and is no reference")
    return found


def _identity(table: Table) -> tuple[str, str]:
    """Name and reference; the name defaults to the reference."""
    reference = table.need("reference", _reference, "")
    if table.has("name"):
        return table.take("name", _name, ""), reference
    if reference and not _NAME.fullmatch(reference):
        table.fault("name", f"is missing, and the reference {shown(reference)} cannot be the name")
        return "", reference
    return reference, reference


def _xurrent(table: Table) -> AppTable:
    name, reference = _identity(table)
    domain = table.need("domain", host_name, "")
    api, reconcile = read_xurrent_api(table, domain)
    app = XurrentApp(
        name=name,
        reference=reference,
        account=table.need("account", _account, ""),
        domain=domain,
        allow_ips=table.items("allow_ips", network),
        api=api,
        reconcile=reconcile,
        removals=_removals(table.table("removals")),
    )
    policy = read_policy(table.table("policy")) if table.has("policy") else None
    return AppTable(path=table.path, app=with_policy(app, policy) if policy else app, policy=policy)


def _rebilly(table: Table) -> AppTable:
    name, reference = _identity(table)
    api, reconcile = read_rebilly_api(table)
    app = RebillyApp(
        name=name,
        reference=reference,
        credential=read_credential(table),
        allow_ips=table.items("allow_ips", network),
        api=api,
        reconcile=reconcile,
        removals=_removals(table.table("removals")),
    )
    return AppTable(path=table.path, app=app)


def _xandr(table: Table) -> AppTable:
    name, reference = _identity(table)
    app = XandrApp(
        name=name,
        reference=reference,
        poll=table.take("poll", at_least(1.0, duration, "s"), 300.0),
        api=read_xandr_api(table),
        removals=_removals(table.table("removals")),
    )
    return AppTable(path=table.path, app=app)


_READERS: dict[str, Callable[[Table], AppTable]] = {
    "xurrent": _xurrent,
    "rebilly": _rebilly,
    "xandr": _xandr,
}


def _share(value: object) -> float:
    found = number(value)
    if not 0 < found <= 1:
        raise ValueError(f"{shown(value)} is not above 0 and at most 1")
    return found


def _removals(table: Table) -> Removals:
    default = Removals()
    removals = Removals(
        share=table.take("share", _share, default.share),
        at_least=table.take("at_least", at_least(1, integer), default.at_least),
        hold=table.take("hold", positive_duration, default.hold),
    )
    table.end()
    return removals
