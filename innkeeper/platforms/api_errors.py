"""What a marketplace's API may answer in place of what was asked for: who can mend it, and when.

Raised by the clients, obeyed by whoever calls them. Messages are for operators: they hold the
marketplace's own words, never a token or a secret.
"""

from __future__ import annotations


class ApiError(Exception):
    """A call that did not do what it should.

    `message`: with the host, and the marketplace's own words. `status`: of HTTP; None without one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.message = message
        self.status = status
        super().__init__(message)


class Refused(ApiError):
    """Our credentials are not accepted, or not for this. `renewable`: the token alone may be."""

    def __init__(self, message: str, status: int | None = None, *, renewable: bool = False) -> None:
        self.renewable = renewable
        super().__init__(message, status)


class RateLimited(ApiError):
    """Too many calls: none before `delay_seconds` are over."""

    def __init__(self, message: str, status: int | None = None, *, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        super().__init__(message, status)


class Down(ApiError):
    """No answer that can be used: unreachable, broken, too large, not JSON, of another form.

    Whether the call had an effect is unknown.
    """


class Invalid(ApiError):
    """What was sent is wrong. `faults`: all of it, in the words of whoever found it."""

    def __init__(self, faults: tuple[str, ...], status: int | None = None) -> None:
        self.faults = faults
        super().__init__("; ".join(faults), status)


class Missing(ApiError):
    """There is no such thing."""


class Inconsistent(ApiError):
    """A list that contradicts itself: what it shows is there, but it must not be taken as whole."""


class Unsupported(ApiError):
    """The marketplace, or this customer, has nothing of the kind."""
