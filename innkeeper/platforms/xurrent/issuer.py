"""Which issuers a Xurrent signing policy may name.

Four forms occur: the account's host; the same under the domain's older or newer name; a custom
domain that the policy states; and any of these with `/webhook_policies/<name>` (discovery mode).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_POLICY_PATH = re.compile(r"/webhook_policies/[A-Za-z0-9._~-]{1,128}\Z")


def matches(stated: object, *, account: str, domain: str, configured: str | None) -> bool:
    """Whether a token's `iss` is that of the policy of `account`.

    `configured`: what the configuration or the learned policy says, which then is the only base.
    """
    if not isinstance(stated, str):
        return False
    bases = (configured,) if configured else _derived(account, domain)
    return stated in bases or _POLICY_PATH.sub("", stated) in bases


def host_of(issuer: str) -> str:
    """The host, with its port if one is named, of a verified issuer."""
    return urlsplit(issuer).netloc


def is_sound(issuer: str) -> bool:
    """Whether a stated issuer is an https URL without query, fragment or user."""
    try:
        parts = urlsplit(issuer)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username is not None)
    return parts.scheme == "https" and bool(parts.hostname) and plain


def _derived(account: str, domain: str) -> tuple[str, ...]:
    # 4me became Xurrent in 2024: a policy made before that keeps the old name, or has the new one.
    domains = (domain, domain.replace("4me", "xurrent"), domain.replace("xurrent", "4me"))
    return tuple(f"https://{account}.{name}" for name in domains)
