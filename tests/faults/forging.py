"""Deliveries that nobody may take: said by who may not say it, or proven by nothing.

Each is a path and a body. The odd tokens are those of the matrix in `tests/platforms`, as they
come over the wire.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from tests.faults.customers import DOMAIN
from tests.faults.trial import Trial
from tests.keys import PrivateKey, key_for, public_pem
from tests.platforms import test_jws_matrix as matrix
from tests.platforms.harbour import claims
from tests.system.agreeing import figures, register
from tests.system.marketplaces import Account, Offering, curve_key
from tests.tokens import encode, sign

_WHATS = ("create", "update", "delete", "secrets-update")
_EVENTS = [f"{word}_instance.{what}" for word in ("app", "integration") for what in _WHATS]


class Forged(NamedTuple):
    """A delivery that is to be refused; `status`: with what."""

    why: str
    path: str
    body: bytes
    status: int = 401


def customer(name: str, domain: str = DOMAIN) -> Account:
    """A customer who signs webhooks of its own."""
    return Account(name=name, domain=domain, algorithm="ES256", key=curve_key(name))


def not_entitled(offering: Offering, thief: Account, victim: Account) -> Iterator[Forged]:
    """What a customer's key signs that only the provider may say, about itself and another."""
    path, provider = f"/hooks/xurrent/{offering.reference}", offering.provider
    for event in _EVENTS:
        for about in (thief, victim):
            said = {"disabled": True, "policy": thief.policy, "application": {"client_id": "x"}}
            payload = offering.payload(about.name, 900, said)
            why = f"{event} of {about.name}"
            own = thief.signed(event, payload)
            yield Forged(why, f"{path}?account={thief.name}", own)
            yield Forged(f"{why}, as the provider", path, own)
            yield Forged(f"{why}, as the other", f"{path}?account={victim.name}", own)
            posing = replace(thief, name=provider.name).signed(event, payload)
            yield Forged(f"{why}, by the provider's name", path, posing)
            yield Forged(f"{why}, by its name", f"{path}?account={thief.name}", posing)
            victims = replace(thief, name=victim.name).signed(event, payload)
            yield Forged(f"{why}, by the other's name", f"{path}?account={victim.name}", victims)
    for account, query in ((victim, thief), (thief, victim)):
        body = thief.signed("automation_rule", {}, account_id=account.name)
        if (account, query) != (thief, thief):
            yield Forged("an app event of another", f"{path}?account={query.name}", body)
    rule = provider.signed("automation_rule", {"what": "note"})
    yield Forged("the provider's app event", path, rule)
    yield Forged("the provider's app event", f"{path}?account={thief.name}", rule)


def of_another_provider(one: Offering, other: Offering) -> Iterator[Forged]:
    """What a provider signs about another's offering, sent to either's path."""
    for event in _EVENTS:
        body = one.provider.signed(event, other.payload("anybody", 901, {"suspended": True}))
        for path in (one.reference, other.reference):
            yield Forged(f"{event} of another's offering", f"/hooks/xurrent/{path}", body)


def odd_tokens(path: str, demanding: Callable[..., bytes], demanding_path: str) -> Iterator[Forged]:
    """The matrix. `path`: of an app of harbour's, who signs ES256 with the key of `key_for`.

    `demanding`: signs claims for an app that wants the audience `tides`, and tokens to expire.
    """
    for why, body in (*_forms(), *_headers(), *_claims(), *_signatures()):
        yield Forged(why, path, body)
    for body in cases(matrix.test_envelopes_that_are_none):
        yield Forged("no envelope", path, body, 400)
    now = int(time.time())
    for audience in cases(matrix.test_the_audience_must_be_the_policys):
        body = demanding(aud=audience, exp=now + 300)
        yield Forged(f"audience {audience!r}", demanding_path, body)
    for exp in (None, now + 700, now - 120, str(now + 300), 1e300, 2**70):
        yield Forged(f"exp {exp}", demanding_path, demanding(aud="tides", exp=exp))


def traces(trial: Trial) -> Any:
    """All that a delivery might leave, once nothing is under way."""
    trial.settle()
    counted = {name: n for name, n in figures(trial).items() if "entries_total" in name}
    return register(trial), counted


def cases(test: Any, mark: int = 0) -> Iterable[Any]:
    """What a test of the matrix is tried with."""
    found: Iterable[Any] = test.pytestmark[mark].args[1]
    return found


def token(
    stated: Any = None, *, key: PrivateKey | None = None, algorithm: str = "ES256",
    header: Any = None,
) -> bytes:  # fmt: skip
    """A body with a token of harbour's."""
    stated = claims() if stated is None else stated
    return enveloped(sign(stated, algorithm, key or key_for(algorithm), header))


def enveloped(text: str) -> bytes:
    """The outer form."""
    return json.dumps({"jwt": text}).encode()


def with_shared_secret(offering: Offering) -> Forged:
    """HMAC, with the provider's public RSA key for a secret."""
    sound = offering.provider.signed(offering.event("update"), offering.payload("anybody", 1, {}))
    stated = json.loads(sound)["jwt"].split(".")[1]
    signed = f'{encode(b"""{"alg":"HS256"}""")}.{stated}'
    secret = public_pem(offering.provider.key).encode()
    made = hmac.digest(secret, signed.encode(), hashlib.sha256)
    body = enveloped(f"{signed}.{encode(made)}")
    return Forged("HS256 with the public key", f"/hooks/xurrent/{offering.reference}", body)


def _forms() -> Iterator[tuple[str, bytes]]:
    for why, text in matrix.odd_forms().items():
        yield why, enveloped(text)


def _headers() -> Iterator[tuple[str, bytes]]:
    for name in cases(matrix.test_the_token_does_not_choose_its_algorithm):
        yield f"alg {name}", token(header={"alg": name})
    for header in cases(matrix.test_headers_that_are_none):
        yield f"header {header[:40]!r}", token(header=header)
    for name in cases(matrix.test_keys_that_a_token_brings_along):
        brought = {name: "https://attacker.invalid/jwks"}
        stranger = key_for("ES256", "stranger")
        yield f"its own {name}", token(key=stranger, header=brought)


def _claims() -> Iterator[tuple[str, bytes]]:
    for stated in cases(matrix.test_claims_that_are_none):
        yield f"claims {stated[:40]!r}", token(stated)
    for issuer in cases(matrix.test_the_issuer_must_be_the_policys):
        yield f"issuer {issuer!r}", token(claims(iss=issuer))
    for name in cases(matrix.test_times_are_numbers, 0):
        for value in cases(matrix.test_times_are_numbers, 1):
            yield f"{name} {value!r}", token(json.dumps(claims() | {name: value}).encode())
    for jti in cases(matrix.test_a_jti_is_text):
        yield f"jti {jti!r}", token(claims(jti=jti))
    for name in ("iat", "nbf"):
        yield f"{name} ahead", token(claims(**{name: time.time() + 120}))
    yield "expired", token(claims(exp=time.time() - 120))


def _signatures() -> Iterator[tuple[str, bytes]]:
    yield "another key", token(key=key_for("ES256", "stranger"))
    for other in ("ES384", "ES512", "RS256"):
        forged = sign(claims(), other, key_for(other), {"alg": "ES256"})
        yield f"a key of {other}", enveloped(forged)
        yield f"signed {other}", token(algorithm=other)
    head, body, made = matrix.good_token().split(".")
    yield "no signature", enveloped(f"{head}.{body}.")
    yield "unsigned", enveloped(f'{encode(b"""{"alg":"none"}""")}.{body}.')
    yield (
        "of other claims",
        enveloped(f"{head}.{encode(json.dumps(claims(sub='2')).encode())}.{made}"),
    )
