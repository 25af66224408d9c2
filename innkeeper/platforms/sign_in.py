"""With what a call to a marketplace proves itself: a fixed key, or a token that is signed in for.

Used by `Caller`. Of a token that all processes share, one at a time fetches the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol

from innkeeper.platforms.api_errors import RateLimited

HeadersOf = Callable[[str], Mapping[str, str]]
_LEASE_SECONDS = 15.0
"""Longer than a sign-in may take."""
_OTHER_SIGNS_IN_SECONDS = 2.0


class Tokens(Protocol):
    """What is asked of `innkeeper.store.tokens.Tokens`, which lies beside this layer."""

    def get(self, name: str) -> str | None:
        """The token; None where there is none."""
        ...

    def put(self, name: str, token: str, *, lives_seconds: float) -> None:
        """Keep a token for as long as it lives."""
        ...

    def drop(self, name: str, token: str) -> None:
        """Forget a token, if it still is that one."""
        ...

    def lease(self, name: str, seconds: float) -> bool:
        """Whether the caller may sign in now."""
        ...

    def release(self, name: str) -> None:
        """Give a lease back."""
        ...

    def attempts(self, name: str, *, per_seconds: float, at_most: int) -> int:
        """Count a sign-in; more than `at_most` means that it may not be made."""
        ...


class SignIn(Protocol):
    """A way to prove oneself."""

    def current(self) -> str:
        """The secret to send. Raises ApiError where one has to be fetched and cannot be."""
        ...

    def instead_of(self, refused: str) -> str | None:
        """Another secret, once the marketplace has refused one; None where there is none."""
        ...

    def headers(self, secret: str) -> Mapping[str, str]:
        """The headers that carry it."""
        ...


class Key:
    """A key or token that the operator has given, and that nobody renews."""

    def __init__(self, key: str, headers_of: HeadersOf) -> None:
        self._key = key
        self._headers_of = headers_of

    def current(self) -> str:
        """The key."""
        return self._key

    def instead_of(self, refused: str) -> str | None:
        """Always None."""
        return None

    def headers(self, secret: str) -> Mapping[str, str]:
        """The headers that carry it."""
        return self._headers_of(secret)


def nothing() -> Key:
    """For the calls that sign in: no credential but in their body."""
    return Key("", lambda _: {})


class Held:
    """A token of `tokens`, fetched by `fetch` (the token, and how many seconds it lives)."""

    def __init__(
        self,
        tokens: Tokens,
        name: str,
        fetch: Callable[[], tuple[str, float]],
        headers_of: HeadersOf,
    ) -> None:
        self._tokens = tokens
        self._name = name
        self._fetch = fetch
        self._headers_of = headers_of

    def current(self) -> str:
        """The token that is held, or a new one."""
        return self._tokens.get(self._name) or self._renewed()

    def instead_of(self, refused: str) -> str | None:
        """The token that another process has fetched meanwhile, or a new one."""
        self._tokens.drop(self._name, refused)
        return self.current()

    def headers(self, secret: str) -> Mapping[str, str]:
        """The headers that carry it."""
        return self._headers_of(secret)

    def _renewed(self) -> str:
        if not self._tokens.lease(self._name, _LEASE_SECONDS):
            raise RateLimited(
                "another process is signing in", delay_seconds=_OTHER_SIGNS_IN_SECONDS
            )
        try:
            # Whoever had the lease between our look and our turn has left a token behind.
            held = self._tokens.get(self._name)
            if held is not None:
                return held
            token, lives_seconds = self._fetch()
            self._tokens.put(self._name, token, lives_seconds=lives_seconds)
            return token
        finally:
            self._tokens.release(self._name)


def token_name(platform: str, *credentials: str) -> str:
    """The name of the token of these credentials (none of them a secret)."""
    digest = hashlib.sha256("\n".join(credentials).encode()).hexdigest()
    return f"{platform}:{digest[:24]}"
