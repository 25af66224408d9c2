"""Who may say what, over the wire: all else is answered 401 and leaves no trace."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.conftest import LOAD
from tests.faults.customers import NOTES, POSTS, Message, shares
from tests.faults.forging import (
    Forged,
    cases,
    customer,
    enveloped,
    not_entitled,
    odd_tokens,
    of_another_provider,
    traces,
    with_shared_secret,
)
from tests.faults.hasty import FRESH_SECONDS, RETRY_SECONDS
from tests.faults.history import History
from tests.faults.issuers import Issuers, issuing
from tests.faults.judging import judge
from tests.faults.load import Load
from tests.faults.trial import Trial, python
from tests.faults.troubled import send
from tests.keys import key_for, public_pem, rsa_key
from tests.platforms import test_jws_matrix as matrix
from tests.system.marketplaces import Account, Offering, xurrent_app
from tests.system.speaking import Answer
from tests.tokens import decode, mirrored, sign

HASTY = str(Path(__file__).with_name("hasty.py"))
KIDS = 200 * LOAD
TIDES = Offering(
    provider=Account(name="harbour", domain="xurrent.com", algorithm="ES256", key=key_for("ES256")),
    reference="tide-tables",
)
"""Of the provider with whose key the matrix is signed."""
STARS = Offering(
    provider=replace(TIDES.provider, name="observatory", audience="tides"), reference="star-maps"
)
"""Wants an audience, and tokens that expire."""
WAVES = Offering(
    provider=Account(name="strand", domain="xurrent.com", algorithm="ES256", key=key_for("ES256")),
    reference="waves",
)
"""Of a provider whose keys are discovered."""


def test_nobody_says_what_is_not_theirs_to_say(make_trial, seed):
    """A stolen customer's key, another provider and odd tokens: 401 each, and nothing is stored;
    what can be told to be the same delivery is told so."""
    apps = [xurrent_app(one.provider, one.reference) for one in (TIDES, STARS)]
    apps[1] += 'claim_expires_in = "10m"\n'
    trial = make_trial(seed, configuration="".join(apps))
    with trial.load(customers=10 * LOAD, steps=6) as load:
        pass
    lighthouse, buoy = (customer(name, "xurrent.com") for name in ("lighthouse", "buoy"))
    for one in (lighthouse, buoy):
        history = History(TIDES, one.name, 1)
        for message in (history.says("create"), history.brings("s1", key=one.name)):
            send(load, message)
    trial.settle()
    send(load, shares(TIDES, lighthouse))
    trial.settle()
    path = f"/hooks/xurrent/{TIDES.reference}"
    forged = [
        *not_entitled(TIDES, lighthouse, buoy),
        *of_another_provider(TIDES, STARS),
        *of_another_provider(NOTES, POSTS),
        *odd_tokens(path, _demanding, f"/hooks/xurrent/{STARS.reference}"),
        with_shared_secret(NOTES),
    ]
    are_refused(trial, forged)
    _harmless_headers_choose_nothing(trial)
    _mirrored_is_the_same(trial, load)
    _poor_keys_are_not_learned(trial, load, buoy)
    settled = trial.settle()
    what = f"{len(forged)} deliveries that are not authentic, or not their signer's to say"
    judge(trial, load, fault="12", what=what, settled_seconds=settled)


def test_discovered_keys_are_the_issuers_own(make_trial, seed, tmp_path):
    """Unknown and flooding kids, keys that change, and issuers that are away, slow, huge or lead
    elsewhere: 401 or 503 in time, few fetches, and nothing is stored."""
    with issuing(tmp_path) as issuers:
        trial = make_trial(
            seed, started=False, SSL_CERT_FILE=str(issuers.certificate),
            configuration=f'[outgoing]\nallow_hosts = ["{issuers.host}"]\n' + _discovering(issuers),
        )  # fmt: skip
        trial.open(("worker", "console"))
        trial.launch_service("receiver", program=python("-P", HASTY))
        trial.until_ready("receiver")
        load = trial.load(customers=0, steps=0)
        history = History(WAVES, "lighthouse", 1)
        issuers.publish(one="provider")
        send(load, _signed(history.says("create"), issuers))
        trial.settle()
        path = f"/hooks/xurrent/{WAVES.reference}"
        are_refused(trial, [Forged("kid", path, b) for b in _unknown_kids(history, issuers)])
        _fetches_little(trial, history, issuers)
        _bad_issuers_give_no_keys(trial, history, issuers)
        _keys_may_change(trial, load, history, issuers)
        settled = trial.settle()
        what = "discovered keys: unknown, flooded, changed; issuers away, slow, huge, elsewhere"
        judge(trial, load, fault="12", what=what, settled_seconds=settled)


def are_refused(trial: Trial, forged: list[Forged]) -> None:
    """Each with its status, and there is nothing afterwards that was not there before."""
    before = traces(trial)
    for one in forged:
        assert _post(trial, one.path, one.body).status == one.status, one.why
    assert traces(trial) == before


def _harmless_headers_choose_nothing(trial: Trial) -> None:
    """A kid is no path and no query: the policy's key verifies all the same."""
    for header in cases(matrix.test_header_fields_that_choose_nothing):
        body = TIDES.provider.signed("note.unheard-of", {})
        text = _claims_of(body) | {"jti": uuid.uuid4().hex}
        signed = enveloped(sign(text, "ES256", key_for("ES256"), header))
        assert _post(trial, f"/hooks/xurrent/{TIDES.reference}", signed).status == 202, header


def _mirrored_is_the_same(trial: Trial, load: Load) -> None:
    """Anybody can make a high-S copy of a token; it is the same delivery."""
    for number in range(10):
        message = History(TIDES, f"mirrored-{number}", 1).says("create")
        body = message.body()
        sent = send(load, replace(message, body=lambda body=body: body))  # type: ignore[misc]
        copy = enveloped(mirrored(json.loads(body)["jwt"]))
        again = _post(trial, message.path, copy)
        assert (again.status, again.delivery) == (200, sent.attempts[0].delivery)


def _poor_keys_are_not_learned(trial: Trial, load: Load, buoy: Account) -> None:
    """Of 1,024 bits: the configuration is refused, and a customer's key stays what it was."""
    poor = rsa_key(1024)
    file = trial.folder / "poor.toml"
    file.write_text(xurrent_app(replace(NOTES.provider, key=poor), NOTES.reference))
    assert trial.cli("check", "--config", file).code == 2
    policy = {"algorithm": "rs256", "public_key": public_pem(poor)}
    payload = TIDES.payload(buoy.name, 900, {"policy": policy})
    body = TIDES.provider.signed(TIDES.event("secrets-update"), payload)
    assert _post(trial, f"/hooks/xurrent/{TIDES.reference}", body).status == 202
    trial.settle()
    text = _claims_of(buoy.signed("automation_rule", {}))
    path = f"/hooks/xurrent/{TIDES.reference}?account={buoy.name}"
    signed = enveloped(sign(text, "RS256", poor))
    are_refused(trial, [Forged("a poor key", path, signed)])
    send(load, shares(TIDES, buoy))


def _unknown_kids(history: History, issuers: Issuers) -> list[bytes]:
    message = history.says()
    ways: list[dict[str, Any]] = [
        {"kid": "two"}, {"kid": ""}, {"owner": "stranger"}, {"kid": "../one"},
        {"issuer": "https://attacker.invalid/webhook_policies/main"},
        {"issuer": f"https://{issuers.host}.attacker.invalid"},
        {"issuer": f"https://{issuers.host}/elsewhere"},
    ]  # fmt: skip
    return [_signed(message, issuers, **way).body() for way in ways]


def _fetches_little(trial: Trial, history: History, issuers: Issuers) -> None:
    """However many kids, the keys are asked for no more often than a known one would have been."""
    message, before, started = history.says(), issuers.fetches, time.monotonic()
    path = f"/hooks/xurrent/{WAVES.reference}"
    bodies = [_signed(message, issuers, kid=f"kid-{n}").body() for n in range(KIDS)]
    are_refused(trial, [Forged("a flood", path, body) for body in bodies])
    allowed = (time.monotonic() - started) / RETRY_SECONDS + 2
    assert issuers.fetches - before <= allowed < KIDS


def _bad_issuers_give_no_keys(trial: Trial, history: History, issuers: Issuers) -> None:
    """None of them makes a sender wait, nor is believed."""
    message, before = history.says(), traces(trial)
    named = [issuers.issuer(name) for name in issuers.misbehave()]
    bodies = [_signed(message, issuers, issuer=issuer).body() for issuer in named]

    def timed(body: bytes) -> tuple[int, float]:
        started = time.monotonic()
        status = _post(trial, message.path, body).status
        return status, time.monotonic() - started

    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(timed, bodies))
    told = dict(zip(named, answers, strict=True))
    assert {status for status, _ in answers} == {503}, told
    assert max(seconds for _, seconds in answers) < 5, told
    assert traces(trial) == before


def _keys_may_change(trial: Trial, load: Load, history: History, issuers: Issuers) -> None:
    """Old and new side by side, then the new alone; away, the known ones serve on."""
    issuers.publish(one="provider", two="next")
    time.sleep(RETRY_SECONDS)
    send(load, _signed(history.says(suspended=True), issuers, kid="two", owner="next"))
    send(load, _signed(history.says(), issuers))
    issuers.publish(two="next")
    time.sleep(FRESH_SECONDS + RETRY_SECONDS)
    send(load, _signed(history.says(suspended=True), issuers, kid="two", owner="next"))
    trial.settle()
    old = _signed(history.says(disabled=True), issuers)
    are_refused(trial, [Forged("the old key", old.path, old.body())])
    issuers.silence()
    time.sleep(FRESH_SECONDS + RETRY_SECONDS)
    send(load, _signed(history.says(), issuers, kid="two", owner="next"))
    # The judge sends all of it once more.
    issuers.publish(one="provider", two="next")
    time.sleep(FRESH_SECONDS + RETRY_SECONDS)


def _signed(
    message: Message, issuers: Issuers, *, kid: str = "one", owner: str = "provider",
    issuer: str = "",
) -> Message:  # fmt: skip
    """The same message, signed with a key that the issuer is to name."""

    def body() -> bytes:
        said = _claims_of(message.body()) | {"iss": issuer or issuers.issuer()}
        return enveloped(sign(said, "ES512", key_for("ES512", owner), {"kid": kid}))

    return replace(message, body=body)


def _discovering(issuers: Issuers) -> str:
    """The part of a configuration for an offering whose provider's keys are discovered."""
    provider = WAVES.provider
    return (
        f'[[apps]]\nplatform = "xurrent"\nreference = "{WAVES.reference}"\n'
        f'account = "{provider.name}"\ndomain = "{provider.domain}"\n'
        f'[apps.policy]\ndiscovery = true\nissuer = "https://{issuers.host}"\n'
    )


def _demanding(**said: Any) -> bytes:
    """A delivery for STARS with these claims; None leaves one out."""
    body = STARS.provider.signed(STARS.event("update"), STARS.payload("anybody", 902, {}))
    stated = {name: v for name, v in (_claims_of(body) | said).items() if v is not None}
    return enveloped(sign(stated, "ES256", key_for("ES256")))


def _claims_of(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode(json.loads(body)["jwt"].split(".")[1]))
    return found


def _post(trial: Trial, path: str, body: bytes) -> Answer:
    return trial.hook(path.removeprefix("/hooks/"), body)
