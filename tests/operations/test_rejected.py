"""Refused deliveries, let in later where they prove themselves."""

from __future__ import annotations

import time

from msgspec.structs import replace

from innkeeper.config import Basic
from innkeeper.operations.rejected import find_all, find_rejected, retry
from tests.conftest import MakeDesk
from tests.inn import (
    REBILLY,
    XURRENT,
    Inn,
    app_event,
    brings_secrets,
    config_of,
    key_of,
    rebilly,
    signed,
)
from tests.keys import policy_for
from tests.standing import standing_of


def test_a_wrong_audience_of_ours_is_mended(inn: Inn, make_desk: MakeDesk) -> None:
    """What we refused by mistake is accepted under today's policy, at its own time; once."""
    policy = policy_for("RS256", audience="others")
    strict = Inn(
        make_desk(config_of(inn.desk.config.data, apps=(replace(XURRENT, policy=policy),)))
    )
    refused = strict.refuse(brings_secrets("acme"))
    assert refused.reason == "wrong_audience"
    (kept,) = find_all(strict.desk)
    (again,) = retry(strict.desk, [kept])
    assert (again.status, again.reason) == ("rejected", "wrong_audience")

    (result,) = retry(inn.desk, [kept])
    assert result.status == "accepted"
    assert find_all(inn.desk) == []
    assert result.delivery is not None
    entry = inn.desk.log.find(result.delivery)
    assert entry is not None
    assert abs(entry.at - kept.refusal.at) < 0.01
    inn.apply()
    line = inn.desk.register.line(key_of())
    assert line is not None
    assert set(line.instance.secrets) == {"application.client_id", "application.client_secret"}
    (result,) = retry(inn.desk, [kept])
    assert (result.status, result.delivery) == ("duplicate", entry.delivery)


def test_a_token_is_judged_as_of_its_arrival(inn: Inn, make_desk: MakeDesk) -> None:
    """One that has expired while it was kept is let in; one that had expired then is not."""
    other = replace(XURRENT, policy=policy_for("RS256", "other"))
    elsewhere = Inn(make_desk(config_of(inn.desk.config.data, apps=(other,))))
    now = time.time()
    data = {"event": "app_instance.update", "object_id": "12345", "payload": {}}
    elsewhere.refuse(signed(data, exp=now - 58))
    elsewhere.refuse(signed(data, exp=now - 500))
    time.sleep(2.1)
    results = retry(inn.desk, find_all(inn.desk))
    assert [(one.status, one.reason) for one in results] == [
        ("accepted", None),
        ("rejected", "expired"),
    ]


def test_a_customers_delivery_that_came_before_its_key(inn: Inn) -> None:
    """Once the key is learned, the delivery is let in."""
    request = app_event("acme")
    inn.post(brings_secrets("acme", owner="old"))
    inn.apply()
    inn.refuse(request)
    inn.post(brings_secrets("acme", owner="acme"))
    inn.apply()
    (result,) = retry(inn.desk, find_all(inn.desk, reason="bad_signature"))
    assert result.status == "accepted"
    inn.apply()
    assert inn.desk.register.notices(key_of())[-1].name == "app_event"


def test_a_credential_is_compared_with_todays(inn: Inn, make_desk: MakeDesk) -> None:
    """Only what bore the credential that is expected today is let in; none is ever kept."""
    inn.refuse(rebilly(password="tomorrows"))
    inn.refuse(rebilly(password="strangers"))
    assert [one.status for one in retry(inn.desk, find_all(inn.desk))] == ["rejected"] * 2
    app = replace(REBILLY, credential=Basic(username="rebilly", password="tomorrows"))
    later = Inn(make_desk(config_of(inn.desk.config.data, apps=(app,))))
    results = retry(later.desk, find_all(later.desk))
    assert [one.status for one in results] == ["accepted", "rejected"]
    later.apply()
    assert standing_of(later.desk.store).instances == 1
    assert len(find_all(later.desk)) == 1


def test_what_nobody_proves_stays_refused(inn: Inn) -> None:
    """A stranger's signature, an offering of another's, and an app that is gone."""
    inn.refuse(signed({"event": "app_instance.update"}, owner="stranger"))
    inn.post(brings_secrets("acme", owner="acme"))
    inn.apply()
    mine = {"event": "app_instance.update", "object_id": "7", "payload": {}}
    inn.refuse(signed(mine, account="acme", owner="acme", query="account=acme"))
    results = retry(inn.desk, find_all(inn.desk))
    assert [one.reason for one in results] == ["bad_signature", "not_entitled"]
    assert standing_of(inn.desk.store).counts["accepted"] == 1
    assert find_rejected(inn.desk, "nonsense") is None
