"""Writes the `innkeeper.toml` that fits a run, the key files beside it, and its environment."""

from __future__ import annotations

from pathlib import Path

from simulator.run import Run
from simulator.settings import (
    ACCOUNT,
    API_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    DOMAIN,
    HOOK_PASSWORD,
    HOOK_USER,
    OWNER,
    XANDR_PASSWORD,
    XANDR_USER,
    Settings,
)
from simulator.signing import SigningPolicy
from simulator.world.offerings import OFFERINGS, Offering


def environment(authority: Path | None) -> dict[str, str]:
    """The variables that the configuration names; `authority`: whom to trust, where there is TLS.

    What `innkeeper` is started with.
    """
    named = {
        "XURRENT_SECRET": CLIENT_SECRET,
        "REBILLY_HOOK_PASSWORD": HOOK_PASSWORD,
        "REBILLY_API_KEY": API_KEY,
        "XANDR_USER": XANDR_USER,
        "XANDR_PASSWORD": XANDR_PASSWORD,
    }
    return named | ({"SSL_CERT_FILE": str(authority)} if authority else {})


def write_configuration(run: Run, file: Path) -> None:
    """Write `file` and, in `keys/` beside it, the public keys that it names."""
    settings = run.settings
    tables = [_head(settings)]
    for offering in OFFERINGS:
        if offering.platform == "xurrent":
            policy = run.world.policies[offering.name]
            tables.append(_xurrent(settings, offering, policy))
            if policy.kid is None:
                keys = file.parent / "keys"
                keys.mkdir(parents=True, exist_ok=True)
                (keys / f"{offering.name}.pem").write_text(policy.public_pem)
        elif offering.platform == "rebilly":
            tables.append(_rebilly(settings, offering))
        else:
            tables.append(_xandr(settings, offering))
    file.write_text("\n".join(tables))


def _head(settings: Settings) -> str:
    lines = ["# Written by the simulator: its marketplaces, and nothing real.", "[receiver]"]
    lines.append(f'public_url = "{settings.receiver}"')
    if settings.tls_port is not None:
        allowed = f"{settings.host}:{settings.tls_port}"
        lines += ["", "[outgoing]", f'allow_hosts = ["{allowed}"]']
    return "\n".join([*lines, ""])


def _xurrent(settings: Settings, offering: Offering, policy: SigningPolicy) -> str:
    issuer = policy.issuer.partition("/webhook_policies/")[0]
    lines = [*_app(offering), f'account = "{ACCOUNT}"', f'domain = "{DOMAIN}"', "[apps.policy]"]
    if policy.kid is None:
        lines += [f'algorithm = "{policy.algorithm}"', f'key_file = "keys/{offering.name}.pem"']
    else:
        lines += ["discovery = true", f'algorithm = "{policy.algorithm}"']
    if settings.tls_base is not None:
        lines.append(f'issuer = "{issuer}"')
    if policy.audience is not None:
        lines.append(f'audience = "{policy.audience}"')
    if policy.expires_in_seconds is not None:
        lines.append(f'claim_expires_in = "{policy.expires_in_seconds // 60}m"')
    lines += [
        "[apps.api]",
        f'client_id = "{CLIENT_ID}"',
        'client_secret_env = "XURRENT_SECRET"',
        f'base_url = "{settings.base}/xurrent/v1"',
        f'oauth_url = "{settings.base}/xurrent/token"',
    ]
    return "\n".join([*lines, ""])


def _rebilly(settings: Settings, offering: Offering) -> str:
    lines = [
        *_app(offering),
        "[apps.credentials]",
        'type = "basic"',
        f'username = "{HOOK_USER}"',
        'password_env = "REBILLY_HOOK_PASSWORD"',
        "[apps.api]",
        'api_key_env = "REBILLY_API_KEY"',
        f'base_url = "{settings.base}/rebilly/organizations/{OWNER}"',
    ]
    return "\n".join([*lines, ""])


def _xandr(settings: Settings, offering: Offering) -> str:
    lines = [
        *_app(offering),
        'poll = "5s"',
        "[apps.api]",
        'username_env = "XANDR_USER"',
        'password_env = "XANDR_PASSWORD"',
        f'base_url = "{settings.base}/xandr"',
    ]
    return "\n".join([*lines, ""])


def _app(offering: Offering) -> list[str]:
    return [
        "[[apps]]",
        f'platform = "{offering.platform}"',
        f'name = "{offering.name}"',
        f'reference = "{offering.reference}"',
    ]
