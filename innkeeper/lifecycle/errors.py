"""The errors that decide what happens next.

`Temporary` and `Permanent` are raised by follow-ups and whatever else stands in an outbox;
`Rejected` and `Malformed` belong to the edge; `Impossible` to the machine.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class Temporary(Exception):
    """Try again: after `delay` (seconds or a timedelta), or with growing delays without one.

    A text alone is taken as the message.
    """

    def __init__(self, delay: float | timedelta | str | None = None, message: str = "") -> None:
        text = delay if isinstance(delay, str) else ""
        if isinstance(delay, timedelta):
            delay = delay.total_seconds()
        self.delay_seconds = float(delay) if isinstance(delay, int | float) else None
        super().__init__(message or text or "temporary failure")


class Permanent(Exception):
    """Do not try again: the work becomes a dead letter at once."""


class Malformed(Exception):
    """The body is not JSON, or not of the platform's outer form. The sender's to mend."""


class Reason(StrEnum):
    """Why a delivery was refused. Told to operators, never to the sender."""

    BAD_CREDENTIAL = "bad_credential"
    BAD_TOKEN = "bad_token"
    WRONG_ALGORITHM = "wrong_algorithm"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    BAD_CLAIMS = "bad_claims"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_ACCOUNT = "wrong_account"
    UNKNOWN_ACCOUNT = "unknown_account"
    NOT_ENTITLED = "not_entitled"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"


class Rejected(Exception):
    """Not authentic, or its signer may not say this.

    `detail` is for operators: it may quote header fields and claims, never a secret or a token.
    `issued_at`: the `iat` of a token that is signed as it should be, seconds since the epoch; known
    only where it is refused for its times.
    """

    def __init__(self, reason: Reason, detail: str = "", *, issued_at: float | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.issued_at = issued_at
        super().__init__(f"{reason}: {detail}" if detail else str(reason))


class Impossible(Exception):
    """A pair of position and event that no marketplace can produce. The instance is untouched."""
