"""Signs captured tokens anew with a test key, so that old deliveries are taken for new ones.

For replays against a receiver whose configuration holds that key. Leaves all claims but the times
and the token's id as they were.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from innkeeper.config import App, XurrentApp
from innkeeper.lifecycle.errors import Malformed, Rejected
from innkeeper.operations.captured import CapturedLine
from innkeeper.operations.replay import CannotReplay, request_of
from innkeeper.operations.replay_lines import captured_of
from innkeeper.platforms import inbound_of, jws

_DELIVERY_HEADERS = ("-delivery", "-delivery-origin")


class Resigning:
    """A private key that signs in place of the marketplaces."""

    def __init__(self, pem: bytes) -> None:
        """Read the key. Raises ValueError for what is no private key."""
        try:
            self._key: Any = load_pem_private_key(pem, password=None)
        except TypeError:
            raise ValueError("the key is encrypted") from None

    def renew(self, line: CapturedLine, app: App | None) -> CapturedLine:
        """The line with a fresh token and no delivery id; as it is where nothing is signed.

        Raises CannotReplay.
        """
        inbound = inbound_of(line.platform)
        if inbound is None or not isinstance(app, XurrentApp):
            return line
        try:
            opened = inbound.open_request(request_of(line.platform, captured_of(line)), app)
            claims = _fresh(jws.claims_of(opened.content))
            # A customer signs with an algorithm of its own, which the token names.
            own = opened.wanted is None or opened.wanted.account is None
            algorithm = getattr(app.policy, "algorithm", None) if own else None
            header = opened.content.header
            token = self._signed(claims, algorithm or header.alg, header.kid)
        except (Malformed, Rejected) as error:
            raise CannotReplay(str(error)) from error
        kept = tuple(h for h in line.headers if not h[0].lower().endswith(_DELIVERY_HEADERS))
        body = msgspec.json.encode({"jwt": token})
        return msgspec.structs.replace(line, headers=kept, body=body)

    def _signed(self, claims: dict[str, Any], algorithm: str, kid: str | None) -> str:
        extra = {"kid": kid} if kid else None
        try:
            return jwt.encode(claims, self._key, algorithm=algorithm, headers=extra)
        except (jwt.PyJWTError, TypeError, ValueError, NotImplementedError) as error:
            raise CannotReplay(f"the key cannot sign {algorithm}: {error}") from error


def _fresh(claims: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    issued, expires = jws.moment(claims, "iat"), jws.moment(claims, "exp")
    fresh = claims | {"iat": now, "nbf": now, "jti": str(uuid.uuid4())}
    if expires is not None:
        # As far ahead as it was; the policy may bound it.
        fresh["exp"] = now + max(1, int(expires - issued)) if issued is not None else now + 60
    return fresh
