"""What others answer when we ask: OpenID documents, key sets, and the marketplaces' own APIs."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.config import XandrApp
from innkeeper.outgoing import Answer
from innkeeper.platforms.api_answers import (
    MAX_DELAY_SECONDS,
    decoded,
    delay_in,
    judged_plainly,
    without,
)
from innkeeper.platforms.api_errors import ApiError
from innkeeper.platforms.discovery import BadDocument, jwks_uri, signing_keys
from innkeeper.platforms.jws import ALGORITHMS
from innkeeper.platforms.rebilly import reading as rebilly_reading
from innkeeper.platforms.rebilly import resources as rebilly_resources
from innkeeper.platforms.rebilly.values import changed_at
from innkeeper.platforms.xandr import installations as xandr_installations
from innkeeper.platforms.xandr import reading as xandr_reading
from innkeeper.platforms.xurrent import normalise, paging
from innkeeper.platforms.xurrent import reading as xurrent_reading
from tests.deliveries import policy_block, rebilly_app, xurrent_app
from tests.fuzz.effort import effort
from tests.fuzz.words import altered, damaged, header_texts, texts, values, written
from tests.keys import key_for

ISSUER = "https://harbour.xurrent.com"
OPENID = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", "id_token_signing_alg_values": ["RS256"]}
XURRENT, REBILLY, XANDR = xurrent_app(), rebilly_app(), XandrApp(name="reef", reference="20")
FOUND = {
    "xurrent": {
        "id": 7, "nodeID": "n", "app_offering": {"id": 1, "reference": XURRENT.reference},
        "customer_account": {"id": "lighthouse", "name": "Lighthouse"}, "disabled": False,
        "enabled_by_customer": True, "suspended": False, "custom_fields": [],
    },
    "rebilly": {
        "organizationId": "org_1", "status": "enabled", "settings": {"a": "b"},
        "updatedTime": "2026-01-01T10:00:00Z", "token": "t",
    },
    "xandr": {
        "id": 3, "plugin_id": 20, "subscriber_entity_id": 238, "accepted_permissions": True,
        "subscriber_entity_type": "member",
    },
}  # fmt: skip
answers = st.builds(
    Answer,
    status=st.sampled_from([200, 201, 204, 301, 303, 400, 401, 403, 404, 409, 418, 422, 429, 500,
                            503, 599]),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["retry-after", "link", "x-ratelimit-retry-after", "x-ratelimit-code",
                             "x-pagination-total-entries", "pagination-total"]),
            header_texts | st.sampled_from(["1", "1e999", "nan", "-5", "9" * 400, "1767225600",
                                            "Thu, 32 Foo 2026 99:99:99 GMT", "inf",
                                            '<https://x/?p=2>; rel="next"', "<;rel=next"]),
        ),
        max_size=3,
    ).map(tuple),
    body=st.one_of(
        values.map(written),
        st.binary(max_size=30),
        st.sampled_from(list(FOUND.values())).flatmap(altered).map(written),
        st.builds(lambda inner: written({"response": inner}), values),
        st.builds(lambda inner: written({"errors": inner, "message": inner}), values),
    ),
)  # fmt: skip


def jwk(algorithm: str, **more: Any) -> dict[str, Any]:
    """The public half of one of our keys, as a set shows it."""
    numbers = key_for(algorithm).public_key().public_numbers()
    if algorithm.startswith("RS"):
        shown = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}  # type: ignore[union-attr]
    else:
        curve = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm]
        shown = {"kty": "EC", "crv": curve, "x": _number(numbers.x), "y": _number(numbers.y)}  # type: ignore[union-attr]
    return {"kid": algorithm, "use": "sig", "alg": algorithm, **shown, **more}


def _number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@effort(200)
@given(altered(OPENID).map(written) | damaged(written(OPENID)) | values.map(written) | st.binary())
def test_an_openid_document_leads_to_its_own_host(document):
    """To keys on the issuer's host over https, or BadDocument."""
    try:
        uri = jwks_uri(document, ISSUER)
    except BadDocument:
        return
    assert uri.startswith(ISSUER)
    assert uri[len(ISSUER) :][:1] in ("", "/", ":")


@effort(80)
@given(st.data(), st.sampled_from([None, *ALGORITHMS]))
def test_a_key_set_gives_keys_that_fit(data, algorithm):
    """Each bound to one algorithm, none with a private part, or BadDocument."""
    names = data.draw(st.lists(st.sampled_from(ALGORITHMS), max_size=3))
    keys = [data.draw(altered(jwk(name), most=2)) for name in names]
    whole = written({"keys": data.draw(st.just(keys) | values)})
    document = data.draw(st.just(whole) | damaged(whole))
    try:
        found = signing_keys(document, issuer=ISSUER, algorithm=algorithm, audience=None)
    except BadDocument:
        return
    assert all(policy.algorithm in ALGORITHMS for policy in found.values())
    assert all(algorithm in (None, policy.algorithm) for policy in found.values())
    assert not any("PRIVATE" in policy.public_key for policy in found.values())


@effort(150)
@given(values | altered({**policy_block("provider"), "audience": "a", "issuer": ISSUER}))
def test_a_stated_policy_is_good_or_a_value_error(block):
    """A customer's block gives a policy, or ValueError."""
    try:
        policy = normalise.policy_of(block)
    except ValueError:
        return
    assert policy.algorithm in ALGORITHMS


@effort(250)
@given(
    answers, st.sampled_from([judged_plainly, rebilly_resources.judge, xandr_installations.judge])
)
def test_any_answer_is_judged(answer, judge):
    """Fine or an ApiError, whose message is bounded and holds no secret that was sent along."""
    document, _ = decoded(answer.body)
    wrong = judge(answer, document, time.time(), frozenset({303}))
    paging.next_link(answer)
    if wrong is None:
        return
    assert isinstance(wrong, ApiError)
    told = without(wrong, "api.example", ("a-secret-of-ours", answer.body.decode("latin-1")))
    assert len(told.message) < 60_000
    assert "a-secret-of-ours" not in told.message


@effort(300)
@given(header_texts | st.sampled_from(["nan", "inf", "-inf", "1e400", "9" * 5000, "0x10"])
       | st.floats().map(str) | st.datetimes().map(str))  # fmt: skip
def test_any_delay_is_bounded(stated):
    """From a second to an hour, whatever the header says."""
    delay = delay_in(stated, 1767225600.0)
    assert delay is not None
    assert 1.0 <= delay <= MAX_DELAY_SECONDS


@pytest.mark.parametrize("platform", FOUND)
def test_what_is_shown_is_read_or_a_value_error(platform):
    """Any JSON for an instance: what was found, another app's, or ValueError."""

    @effort(80)
    @given(altered(FOUND[platform]) | values)
    def reads(document):
        _read(platform, json.loads(written(document)))

    reads()


def _read(platform: str, document: Any) -> None:
    read: dict[str, Any] = {
        "xurrent": lambda: xurrent_reading.found(document, XURRENT),
        "rebilly": lambda: rebilly_reading.found(document, REBILLY),
        "xandr": lambda: xandr_reading.found(document, XANDR, 5),
    }
    try:
        found = read[platform]()
    except ValueError:
        return
    assert found is None or "/" not in found.account


@effort(150)
@given(texts | st.text(max_size=80), texts)
def test_a_time_that_cannot_be_read_is_no_order(text, other):
    """Any JSON for a time gives an order key or none."""
    for stated in (text, f"2026-01-01T{other}", f"0001-01-01T00:00:00{other}", other + "Z"):
        changed_at(stated)
