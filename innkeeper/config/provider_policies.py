"""Reads `[apps.policy]`: with which key a provider signs, from a PEM or by discovery.

A provider is an account on a domain. Called by `app_tables`; verifies nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from innkeeper.config.apps import Discovery, XurrentApp
from innkeeper.config.reading import Table
from innkeeper.config.units import duration, lines, matching, positive_duration, text, truth
from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms.jws import signing_policy

_MAX_KEY_BYTES = 64 << 10
_GRACE_SECONDS = 86400.0

_algorithm_name = matching(
    r"(?i:rs|es)(256|384|512)", "one of rs256, rs384, rs512, es256, es384, es512"
)


class ProviderPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What `[apps.policy]` states. `policy`: None where it is faulty."""

    policy: SigningPolicy | Discovery | None = None
    claim_expires_in: float | None = None
    previous_key_grace: float = _GRACE_SECONDS


def read_policy(table: Table) -> ProviderPolicy:
    """The stated policy: a key, or `discovery = true`."""
    discovers = table.take("discovery", truth, False)
    stated = ProviderPolicy(
        policy=_discovery(table) if discovers else _keyed(table),
        claim_expires_in=table.take("claim_expires_in", positive_duration, None),
        previous_key_grace=table.take("previous_key_grace", duration, _GRACE_SECONDS),
    )
    table.end()
    return stated


def _algorithm(value: object) -> str:
    return _algorithm_name(value).upper()


def _discovery(table: Table) -> Discovery:
    for key in ("key", "key_file"):
        if table.has(key):
            table.fault(key, "does not go together with discovery = true")
    return Discovery(
        algorithm=table.take("algorithm", _algorithm, None),
        audience=table.take("audience", text, None),
        issuer=table.take("issuer", table.reading.url, None),
    )


def _keyed(table: Table) -> SigningPolicy | None:
    algorithm = table.need("algorithm", _algorithm, "")
    audience = table.take("audience", text, None)
    issuer = table.take("issuer", table.reading.url, None)
    where = "key_file" if table.has("key_file") else "key"
    pem = _pem(table)
    if not algorithm or not pem:
        return None
    try:
        return signing_policy(algorithm, pem, audience=audience, issuer=issuer)
    except ValueError as wrong:
        table.fault(where, str(wrong))
        return None


def _pem(table: Table) -> str:
    inline, file = table.has("key"), table.has("key_file")
    if inline and file:
        table.fault("key", "stands beside key_file: exactly one of them")
    elif not inline and not file:
        table.fault("key_file", "is missing; or give key, or discovery = true")
    key = table.take("key", lines, "")
    name = table.take("key_file", text, "")
    if not name:
        return key
    return "" if inline else _read_key(table, table.reading.folder / name)


def _read_key(table: Table, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_KEY_BYTES + 1)
        if len(content) > _MAX_KEY_BYTES:
            raise ValueError("more than 64 KiB")
        pem = content.decode("ascii")
        if not pem.strip():
            raise ValueError("empty")
    except UnicodeDecodeError:
        table.fault("key_file", f"{path} is no PEM file")
    except (OSError, ValueError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else wrong
        table.fault("key_file", f"{path} cannot be read: {reason}")
    else:
        return pem
    return ""


def with_policy(app: XurrentApp, stated: ProviderPolicy) -> XurrentApp:
    """The app under this policy."""
    return msgspec.structs.replace(
        app,
        policy=stated.policy,
        claim_expires_in=stated.claim_expires_in,
        previous_key_grace=stated.previous_key_grace,
    )
