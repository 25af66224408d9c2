"""Acting as the customer: tokens, and secrets given out on record."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from innkeeper.lifecycle.events import InstanceKey
from innkeeper.operations.acting import customer_token, read_secrets
from innkeeper.operations.explain import explain
from innkeeper.platforms.api_errors import Refused, Unsupported
from tests.conftest import MakeDesk
from tests.inn import CANARY, Inn, brings_secrets, config_of, key_of
from tests.levers import apps_of
from tests.platforms.apis import Api, granting_api, said

MERCHANT = InstanceKey("rebilly", "tides", "org-1")
MERCHANT_PATH = "/organizations/org_1/applications/app_tides/instances/org-1"


@pytest.fixture
def api() -> Iterator[Api]:
    """The marketplaces' API; gives the tokens `first` and `second`."""
    with granting_api() as api:
        yield api


@pytest.fixture
def inn(make_desk: MakeDesk, tmp_path: Path, api: Api) -> Inn:
    """Acme's secrets have come."""
    inn = Inn(make_desk(config_of(tmp_path, apps=apps_of(api.url))))
    inn.states("acme")
    inn.post(brings_secrets("acme"))
    inn.apply()
    return inn


def test_signs_in_with_the_customers_own_application(inn: Inn, api: Api) -> None:
    """Once: the token is held until shortly before its end."""
    token = customer_token(inn.desk, key_of())
    assert token.token == "first"
    assert customer_token(inn.desk, key_of()) == token
    (request,) = api.to("/token")
    assert b"client_id=id-1" in request.body
    assert CANARY.encode() in request.body
    assert 400 < token.expires - time.time() < 600
    assert token.expires_at.tzinfo is not None
    assert "first" not in repr(token)


def test_a_refused_token_is_replaced(inn: Inn) -> None:
    """By a fresh one, which is held then."""
    first = customer_token(inn.desk, key_of()).token
    assert customer_token(inn.desk, key_of(), refused=first).token == "second"
    assert customer_token(inn.desk, key_of(), refused=first).token == "second"


def test_other_secrets_are_signed_in_with_anew(inn: Inn) -> None:
    """What was signed in with the former ones is used no more."""
    customer_token(inn.desk, key_of())
    inn.post(brings_secrets("acme", secret="another"))
    inn.apply()
    assert customer_token(inn.desk, key_of()).token == "second"


def test_a_merchants_token_comes_with_a_read(inn: Inn, api: Api) -> None:
    """Fresh, and held for less than its hour."""
    api.answers(MERCHANT_PATH, said({"organizationId": "org-1", "token": "jwt-1"}))
    assert customer_token(inn.desk, MERCHANT).token == "jwt-1"
    assert customer_token(inn.desk, MERCHANT).token == "jwt-1"
    assert len(api.to(MERCHANT_PATH)) == 1


def test_where_there_can_be_no_token(inn: Inn, api: Api) -> None:
    """No secrets known, no such thing on the marketplace, an app that is not configured."""
    for key in (key_of("nobody"), InstanceKey("xandr", "deals", "member:1"), key_of(app="gone")):
        with pytest.raises(Unsupported):
            customer_token(inn.desk, key)
    api.answers("/token", said({"error": "invalid_client"}, "401 Unauthorized"))
    with pytest.raises(Refused) as told:
        customer_token(inn.desk, key_of())
    assert CANARY not in str(told.value)


def test_secrets_are_given_out_on_record(inn: Inn) -> None:
    """In the log of the instance and in the process's log, by name and never by value."""
    line = inn.desk.register.line(key_of())
    assert line is not None
    with capture_logs() as logs:
        found = read_secrets(inn.desk, line, "10.0.0.7")
    inn.apply()
    assert found == {"application.client_id": "id-1", "application.client_secret": CANARY}
    (told,) = [one for one in logs if one["event"] == "secrets.read"]
    assert (told["instance"], told["caller"]) == ("xurrent/notes/acme", "10.0.0.7")
    document = explain(inn.desk, key_of())
    assert document is not None
    (entry,) = document["without_effect"]
    assert (entry["id"], entry["outcome"]) == (told["delivery"], "secrets_read")
    assert CANARY not in json.dumps([document, told], default=str)
    after = inn.desk.register.line(key_of())
    assert after is not None
    assert after.instance == line.instance
