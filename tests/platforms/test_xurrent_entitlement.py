"""Xurrent: who may say what, cell by cell; whose issuer is whose; what is learned of a policy."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from innkeeper.config import Discovery, XurrentApp
from innkeeper.lifecycle.errors import Reason, Rejected
from innkeeper.lifecycle.events import Event, Mark
from innkeeper.platforms.admission import Admitted
from innkeeper.platforms.xurrent import inbound
from tests.keys import key_for, policy_for, private_pem, public_pem, rsa_key
from tests.platforms.harbour import (
    ISSUER,
    MOONS,
    NOW,
    STARS,
    TIDES,
    admit,
    admit_token,
    claims,
    data,
    request,
)
from tests.tokens import sign

LIFECYCLE = [
    f"{noun}.{verb}"
    for noun in ("app_instance", "integration_instance")
    for verb in ("create", "update", "delete", "secrets-update")
]
CUSTOMER = "https://lighthouse.xurrent.com"
CALLBACK = {"callback": "https://x.example/verify"}


def by_customer(event: str, query: str = "account=lighthouse", **more: Any) -> Admitted:
    """What the customer `lighthouse` signs with its own key; `more`: in place of its claims."""
    stated = data(event, **CALLBACK) | {"account_id": "lighthouse"}
    signed = claims(stated, **({"iss": CUSTOMER} | more))
    key = key_for("ES256", "lighthouse")
    return admit(signed, query, key=key, policies=[policy_for("ES256", "lighthouse")])


def refused(reason: Reason, act, *args: Any, **more: Any) -> None:
    """What is done is refused for this reason."""
    with pytest.raises(Rejected) as raised:
        act(*args, **more)
    assert raised.value.reason is reason, raised.value


# Who may say what


@pytest.mark.parametrize("event", [*LIFECYCLE, "webhook.verify"])
def test_the_provider_signs_lifecycle_and_its_own_handshake(event):
    """In either vocabulary."""
    assert admit(claims(data(event, **CALLBACK))).mark is None


@pytest.mark.parametrize(
    "event",
    ["automation_rule", "automation_rule.fired", "app_instance.sold", "integration_instance.sold"],
)
def test_the_provider_signs_no_app_event_and_nothing_new_of_instances(event):
    """Instances' own names are not handed out by guess."""
    refused(Reason.NOT_ENTITLED, admit, claims(data(event)))


@pytest.mark.parametrize("event", ["req.update", "app_offering.update", "", "🌊"])
def test_what_else_the_provider_signs_is_kept(event):
    """A type that nothing handles is no error."""
    assert admit(claims(data(event))).mark is Mark.IGNORED


@pytest.mark.parametrize("event", ["automation_rule", "webhook.verify"])
def test_a_customer_signs_app_events_and_its_own_handshake(event):
    """About its own account, whatever account the payload names."""
    admitted = by_customer(event)
    assert (str(admitted.instance), admitted.mark) == ("xurrent/tide-tables/lighthouse", None)


@pytest.mark.parametrize("event", [*LIFECYCLE, "req.update", "app_instance.sold", "", "webhook"])
def test_a_customer_signs_nothing_else(event):
    """No lifecycle event for itself, and no type that nothing handles."""
    refused(Reason.NOT_ENTITLED, by_customer, event)


@pytest.mark.parametrize("event", LIFECYCLE)
def test_a_customer_signs_no_test_delivery_of_the_lifecycle(event):
    """The test endpoint's object opens no door."""
    stated = data(event) | {"account_id": "lighthouse", "object_id": 12345}
    refused(Reason.NOT_ENTITLED, by_customer, event, data=stated)


@pytest.mark.parametrize("event", [*LIFECYCLE, "automation_rule", "webhook.verify"])
def test_a_customer_says_nothing_for_another_account(event):
    """Not with the other's `?account=`, not with its issuer, not with its `data.account_id`."""
    stolen = [policy_for("ES256", "lighthouse")]
    other = "https://jetty.xurrent.com"
    about_other = data(event, **CALLBACK) | {"account_id": "jetty"}
    key = key_for("ES256", "lighthouse")
    # Under the other's account, the other's key is what counts.
    jetty = [policy_for("ES256", "jetty")]
    signed = claims(about_other, iss=other)
    refused(Reason.BAD_SIGNATURE, admit, signed, "account=jetty", key=key, policies=jetty)
    # Under its own account, it speaks for itself.
    refused(Reason.WRONG_ISSUER, by_customer, event, iss=other)
    refused(Reason.WRONG_ACCOUNT, by_customer, event, data=about_other)
    # The same key under the other's account by mistake of whoever stores keys: the issuer tells.
    mine = claims(about_other, iss=CUSTOMER)
    refused(Reason.WRONG_ISSUER, admit, mine, "account=jetty", key=key, policies=stolen)


@pytest.mark.parametrize("event", LIFECYCLE)
def test_content_that_cannot_be_understood_opens_no_door(event):
    """Who may say it is asked first: a lone surrogate or a bad payload is refused all the same."""
    for broken in (data(event, note="\ud800"), data(event) | {"payload": None}):
        stated = broken | {"account_id": "lighthouse"}
        refused(Reason.NOT_ENTITLED, by_customer, event, data=stated)
        refused(Reason.WRONG_ACCOUNT, by_customer, event, data=broken)


@pytest.mark.parametrize("event", [*LIFECYCLE, "automation_rule", "webhook.verify"])
def test_a_customer_is_not_the_provider(event):
    """Without `?account=` the provider's key counts."""
    stated = claims(data(event, **CALLBACK))
    refused(Reason.BAD_SIGNATURE, admit, stated, key=key_for("ES256", "lighthouse"))


@pytest.mark.parametrize("event", LIFECYCLE)
def test_the_provider_is_no_customer(event):
    """Its key signs nothing under `?account=`, and its own account is none of its customers."""
    customers = [policy_for("ES256", "lighthouse")]
    query = "account=lighthouse"
    refused(Reason.BAD_SIGNATURE, admit, claims(data(event)), query, policies=customers)


@pytest.mark.parametrize("event", LIFECYCLE)
def test_a_provider_says_nothing_of_anothers_offering(event):
    """Correctly signed by harbour, about an offering of the observatory's: refused."""
    stated = data(event, app_offering={"reference": "star-maps"})
    refused(Reason.NOT_ENTITLED, admit, claims(stated))
    # Nor at the other's address, where the other's key and issuer count.
    refused(Reason.BAD_SIGNATURE, admit, claims(stated), app=STARS)
    harbours = [policy_for("ES256")]
    refused(Reason.WRONG_ISSUER, admit, claims(stated), app=STARS, policies=harbours)


def test_a_provider_is_an_account_of_one_domain():
    """The same account elsewhere is another provider."""
    elsewhere = replace(TIDES, name="ice", reference="ice-charts", domain="xurrent.qa")
    stated = data(app_offering={"reference": "ice-charts"})
    opened = inbound.open_request(request(sign(claims(stated), "ES256", key_for("ES256"))), TIDES)
    policies = [policy_for("ES256")]
    refused(Reason.NOT_ENTITLED, inbound.admit, opened, (TIDES, elsewhere), policies, NOW)


def test_a_reference_that_two_providers_share_is_the_signers():
    """Each speaks of its own."""
    twin = replace(STARS, reference="tide-tables")
    opened = inbound.open_request(request(sign(claims(), "ES256", key_for("ES256"))), TIDES)
    admitted = inbound.admit(opened, (twin, TIDES), [policy_for("ES256")], NOW)
    assert str(admitted.instance) == "xurrent/tide-tables/lighthouse"


@pytest.mark.parametrize("event", LIFECYCLE)
def test_a_provider_may_use_any_of_its_apps_addresses(event):
    """The offering that it names decides."""
    stated = claims(data(event, app_offering={"reference": "moon-phases"}))
    assert str(admit(stated).instance) == "xurrent/moon-phases/lighthouse"
    assert str(admit(stated, app=MOONS).instance) == "xurrent/moon-phases/lighthouse"


@pytest.mark.parametrize("account", ["lighthouse", "Harbour", "", 7, ["harbour"], True])
def test_the_data_must_be_of_the_policys_account(account):
    """Another account, or what is none."""
    refused(Reason.WRONG_ACCOUNT, admit, claims(data() | {"account_id": account}))


@pytest.mark.parametrize("account", [None, "harbour"])
def test_the_data_may_leave_the_account_out(account):
    """Only event and payload are sure to be there."""
    assert admit(claims(data() | {"account_id": account})).mark is None


# Issuers

FORMS = {
    "host": "https://harbour.{}",
    "discovery": "https://harbour.{}/webhook_policies/tides-2026",
}
NEAR_MISSES = [
    "http://harbour.xurrent.com",
    "HTTPS://harbour.xurrent.com",
    "https://Harbour.xurrent.com",
    "https://harbour.xurrent.com/",
    "https://harbour.xurrent.com:443",
    "https://harbour.xurrent.com.",
    "https://harbour.xurrent.com.evil.example",
    "https://harbour.xurrent.com@evil.example",
    "https://evil.example/harbour.xurrent.com",
    "https://evil.harbour.xurrent.com",
    "https://harbour.xurrent.qa",
    "https://harbour2.xurrent.com",
    "https://xurrent.com",
    "https://harbour.xurrent.com\n",
    " https://harbour.xurrent.com",
    "https://harbour.xurrent.com/webhook_policies",
    "https://harbour.xurrent.com/webhook_policies/",
    "https://harbour.xurrent.com/webhook_policies/a/b",
    "https://harbour.xurrent.com/webhook_policies/a?b",
    "https://harbour.xurrent.com/webhook_policies/a#b",
    "https://harbour.xurrent.com/webhook_policies/a\n",
    "https://harbour.xurrent.com/webhook_policies/a/webhook_policies/b",
    "https://harbour.xurrent.com/webhook_policies/" + "a" * 129,
    "https://harbour.xurrent.com/other/tides",
    "/webhook_policies/tides",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("domain", "also"),
    [("xurrent.com", "4me.com"), ("4me.com", "xurrent.com"), ("au.4me.qa", "au.xurrent.qa")],
)
def test_issuers_under_the_old_and_the_new_name(domain, also, form):
    """A policy made before the rename keeps its issuer, or has the new one; either way."""
    app = replace(TIDES, domain=domain)
    for name in (domain, also):
        assert admit(claims(iss=FORMS[form].format(name)), app=app).mark is None


@pytest.mark.parametrize("issuer", NEAR_MISSES, ids=repr)
def test_near_misses_of_an_issuer(issuer):
    """It is compared as it stands, never as an address."""
    refused(Reason.WRONG_ISSUER, admit, claims(iss=issuer))


def test_a_white_label_has_one_name():
    """R-Service was never called otherwise."""
    app = replace(TIDES, domain="r-service.tech")
    assert admit(claims(iss="https://harbour.r-service.tech"), app=app).mark is None
    refused(Reason.WRONG_ISSUER, admit, claims(), app=app)


@pytest.mark.parametrize("path", ["", "/webhook_policies/tides"])
def test_a_custom_domain_is_the_only_base(path):
    """Where the policy states an issuer, the derived forms are none."""
    policies = [policy_for("ES256", issuer="https://desk.harbour.example")]
    stated = claims(iss=f"https://desk.harbour.example{path}")
    assert admit(stated, policies=policies).mark is None
    refused(Reason.WRONG_ISSUER, admit, claims(iss=ISSUER + path), policies=policies)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (ISSUER, "harbour.xurrent.com"),
        ("https://harbour.4me.com/webhook_policies/t", "harbour.4me.com"),
        ("https://desk.harbour.example:8443", "desk.harbour.example:8443"),
    ],
)
def test_a_handshake_is_answered_at_the_verified_issuer(stated, expected):
    """Wherever its callback points, that is the only host allowed."""
    policies = [policy_for("ES256", issuer=None if "harbour." in stated[:17] else stated)]
    admitted = admit(claims(data("webhook.verify", **CALLBACK), iss=stated), policies=policies)
    assert admitted.event.callback_host == expected


# Discovery

DISCOVERING = replace(TIDES, policy=Discovery())


def test_discovery_asks_for_the_issuer_and_key_of_the_token():
    """What is not verified yet only chooses among the issuer's own keys."""
    issuer = f"{ISSUER}/webhook_policies/tides"
    token = sign(claims(iss=issuer), "ES256", key_for("ES256"), {"kid": "k1"})
    wanted = inbound.open_request(request(token), DISCOVERING).wanted
    assert wanted
    assert tuple(wanted) == (None, issuer, "k1")
    admitted = admit_token(token, app=DISCOVERING, policies=[policy_for("ES256", issuer=issuer)])
    assert admitted.mark is None


@pytest.mark.parametrize("issuer", [*NEAR_MISSES, None, 7, CUSTOMER], ids=repr)
def test_discovery_asks_no_other_issuer(issuer):
    """No address that a token names is ever asked, unless it is the provider's."""
    token = sign(claims(iss=issuer), "ES256", key_for("ES256"))
    refused(Reason.WRONG_ISSUER, inbound.open_request, request(token), DISCOVERING)


def test_customers_keys_are_not_discovered():
    """With `?account=` the learned policies are asked for, whatever the provider does."""
    token = sign(claims(iss="https://evil.example"), "ES256", key_for("ES256"), {"kid": "k1"})
    wanted = inbound.open_request(request(token, "account=lighthouse"), DISCOVERING).wanted
    assert wanted
    assert tuple(wanted) == ("lighthouse", None, None)


# ?account=


def wanted_account(query: str, app: XurrentApp = TIDES) -> str | None:
    """Whose policies a query asks for; None: the provider's."""
    token = sign(claims(), "ES256", key_for("ES256"))
    wanted = inbound.open_request(request(token, query), app).wanted
    assert wanted
    return wanted.account


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        (None, ""),
        (None, "x=1"),
        (None, "Account=jetty"),
        (None, "account[]=jetty"),
        ("jetty", "account=jetty"),
        ("jetty", "customer_account_id=jetty"),
        ("jetty", "account=jetty&customer_account_id=jetty"),
        ("jetty", "account=jetty&account=jetty"),
        ("Jetty-7_b", "x=1&account=Jetty-7_b&y=2"),
        ("jetty", "account=%6aetty"),
        ("a" * 64, "account=" + "a" * 64),
    ],
)
def test_the_query_picks_the_account(expected, query):
    """By either name; without one the provider's policy applies."""
    assert wanted_account(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "account=",
        "account",
        "account=a&account=b",
        "account=a&customer_account_id=b",
        "account=a&customer_account_id=",
        "account=" + "a" * 65,
        "account=jetty.evil.example",
        "account=..%2Fharbour",
        "account=jetty%00",
        "account=jetty%0A",
        "account=jetty%20",
        "account=+jetty",
        "account=jetty%2Fx",
        "account=jetty:80",
        "account=jetty@evil",
        "account=%C3%A5",
        "account=%FF",
        "account=%zz",
        "account=j%D0%B5tty",
        "account=*",
        "account={jetty}",
        "&".join(["x=1"] * 65) + "&account=jetty",
    ],
)
def test_hostile_accounts(query):
    """Whatever is no account is refused before anything is looked up."""
    refused(Reason.UNKNOWN_ACCOUNT, wanted_account, query)


# Claims: what makes two deliveries one


def one(
    headers: dict[str, str] | None = None, app: XurrentApp = TIDES, **more: Any
) -> frozenset[bytes]:
    """The claims of a delivery."""
    stated = more.pop("data", None) or data(audit_line_id=7)
    return frozenset(admit(claims(stated, **more), headers=headers, app=app).claims)


def test_the_same_jti_under_a_new_delivery_header():
    """It is one delivery."""
    left = one({"x-xurrent-delivery": "11111111-0000"}, jti="j1", data=data())
    assert left & one({"x-xurrent-delivery": "22222222-0000"}, jti="j1", data=data())


@pytest.mark.parametrize("name", ["x-xurrent-delivery", "x-4me-delivery"])
def test_the_same_delivery_header_with_a_new_jti(name):
    """It is one delivery, under either name of the header."""
    left = one({"x-xurrent-delivery": "11111111-aaaa"}, jti="j1", data=data())
    assert left & one({name: "11111111-AAAA"}, jti="j2", data=data())


@pytest.mark.parametrize("name", ["x-xurrent-delivery-origin", "x-4me-delivery-origin"])
def test_a_redelivery_names_its_origin(name):
    """It is one delivery with the first, and with every other redelivery of it."""
    first = one({"x-xurrent-delivery": "11111111-0000"}, jti="j1", data=data())
    again = one(
        {"x-xurrent-delivery": "22222222-0000", name: "11111111-0000"}, jti="j2", data=data()
    )
    third = one(
        {"x-xurrent-delivery": "33333333-0000", name: "11111111-0000"}, jti="j3", data=data()
    )
    assert first & again
    assert again & third


def test_a_retry_that_is_signed_anew():
    """The same data with an audit line is one delivery, in whichever order its names stand."""
    content = data(audit_line_id=7)
    turned = json.loads(json.dumps(content), object_pairs_hook=lambda pairs: dict(pairs[::-1]))
    assert one(jti="j1", iat=NOW - 50, data=content) & one(jti="j2", data=turned)


def test_two_secrets_updates_under_one_audit_line():
    """They are two deliveries: neither is lost."""
    event = "app_instance.secrets-update"
    left = one(jti="j1", data=data(event, audit_line_id=7, secrets={"a": 1}))
    right = one(jti="j2", data=data(event, audit_line_id=7, secrets={"b": 2}))
    assert not left & right


def test_the_same_data_without_an_audit_line():
    """Nothing tells a repetition from a second event: two deliveries."""
    assert not one(jti="j1", data=data()) & one(jti="j2", data=data())


def test_claims_are_scoped_by_app_and_issuer():
    """The same ids from another app, or under another verified issuer, are other deliveries."""
    headers = {"x-xurrent-delivery": "11111111-0000"}
    other = data(audit_line_id=7, app_offering={"reference": "moon-phases"})
    assert not one(headers, jti="j") & one(headers, MOONS, jti="j", data=other)
    assert not one(headers, jti="j") & one(headers, jti="j", iss="https://harbour.4me.com")


@pytest.mark.parametrize("value", ["short", "x" * 65, "ü" * 10, "a b c d e f", "", "11111111\n"])
def test_delivery_headers_that_are_no_ids(value):
    """They are outside the signature: what is no id claims nothing."""
    assert not one({"x-xurrent-delivery": value}, data=data())


def test_claims_cost_twelve_bytes_each():
    """One for each id, none twice, and none where there is nothing to go by."""
    headers = {
        "x-xurrent-delivery": "11111111-0000",
        "x-xurrent-delivery-origin": "11111111-0000",
        "x-4me-delivery": "22222222-0000",
    }
    made = admit(claims(data(audit_line_id=7), jti="j"), headers=headers).claims
    assert [len(each) for each in made] == [12] * 4
    assert len(set(made)) == 4
    assert admit(claims()).claims == ()


def test_what_cannot_be_understood_is_claimed_as_well():
    """So that its repetition is a duplicate and not another dead letter."""
    stated = claims(data(audit_line_id=7, disabled="no"), jti="j")
    first, again = admit(stated), admit(stated)
    assert first.mark is Mark.UNDECODABLE
    assert first.claims == again.claims != ()


# What is learned of a customer's policy


def learned(**policy: Any) -> Event:
    """The event of a secrets-update with a policy; `-` leaves a member out."""
    stated = {"algorithm": "ES256", "public_key": public_pem(key_for("ES256", "lighthouse"))}
    stated = {name: value for name, value in (stated | policy).items() if value != "-"}
    event = "app_instance.secrets-update"
    return admit(claims(data(event, policy=stated, secrets={"a": 1}))).event


@pytest.mark.parametrize("algorithm", ["ES256", "es256"])
def test_a_policy_is_learned(algorithm):
    """In either spelling of its algorithm, with audience and issuer if there are any."""
    event = learned(
        algorithm=algorithm, audience="tides", issuer="https://desk.example", nodeID="n"
    )
    expected = policy_for("ES256", "lighthouse", audience="tides", issuer="https://desk.example")
    assert event.policy == expected
    assert learned(audience=None).policy == policy_for("ES256", "lighthouse")
    assert learned(audience="", issuer=None).policy == policy_for("ES256", "lighthouse")


@pytest.mark.parametrize(
    "stated",
    [
        {"algorithm": "-"},
        {"algorithm": None},
        {"algorithm": 256},
        {"algorithm": "HS256"},
        {"algorithm": "none"},
        {"algorithm": "RS256"},
        {"algorithm": "ES384"},
        {"public_key": "-"},
        {"public_key": None},
        {"public_key": ["a"]},
        {"public_key": ""},
        {"public_key": "-----BEGIN PUBLIC KEY-----"},
        {"audience": ["tides"]},
        {"audience": 7},
        {"issuer": "http://desk.example"},
        {"issuer": "https://"},
        {"issuer": "desk.example"},
        {"issuer": ""},
        {"issuer": "https://desk.example?a=1"},
        {"issuer": "https://desk.example#a"},
        {"issuer": "https://user@desk.example"},
        {"issuer": "https://desk.example:port"},
        {"issuer": "https://[desk"},
        {"issuer": 7},
        {"issuer": ["https://desk.example"]},
    ],
    ids=str,
)
def test_a_bad_policy_is_not_learned(stated):
    """It is noted, and what came with it is kept."""
    event = learned(**stated)
    assert event.policy is None
    assert len(event.notes) == 1
    assert event.secrets == {"secrets.a": 1}


def test_keys_that_are_too_weak_or_private_are_not_learned():
    """RSA of 1024 bits, and a private RSA key, of which nothing is noted."""
    for pem in (public_pem(rsa_key(1024)), private_pem(rsa_key(2048))):
        event = learned(algorithm="RS256", public_key=pem)
        assert event.policy is None
        assert all(line not in str(event.notes) for line in pem.splitlines()[1:-1])


@pytest.mark.parametrize("policy", ["text", 7, [], True])
def test_a_policy_that_is_none(policy):
    """The delivery is admitted all the same."""
    event = admit(claims(data("app_instance.secrets-update", policy=policy))).event
    assert (event.policy, len(event.notes)) == (None, 1)


def test_numbers_of_any_size_survive_being_stored():
    """A custom field may hold what fits into no machine word."""
    event = admit(claims(data("app_instance.secrets-update", secrets={"n": 10**40}))).event
    assert event == msgspec.json.decode(msgspec.json.encode(event), type=Event)
