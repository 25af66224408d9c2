"""The apps of each marketplace, and what must hold among them."""

from __future__ import annotations

import pytest

from innkeeper.config import (
    Basic,
    Header,
    NoCredential,
    RebillyApi,
    RebillyApp,
    Removals,
    XandrApi,
    XandrApp,
    XurrentApi,
    XurrentApp,
)
from tests.config.conftest import FaultsOf, Load

XURRENT = """
[[apps]]
platform = "xurrent"
reference = "notes"
account = "wdc"
domain = "Xurrent.com"
policy = {discovery = true}
"""
REBILLY = """
[[apps]]
platform = "rebilly"
reference = "app_1"
"""
BASIC = '[apps.credentials]\ntype = "basic"\nusername = "u"\npassword_env = "HOOK_PASSWORD"\n'
XANDR = """
[[apps]]
platform = "xandr"
reference = "20"
"""
ENVIRON = {"HOOK_PASSWORD": "p", "API_KEY": "k", "CLIENT_SECRET": "s"}


def test_a_xurrent_app_with_its_defaults(load: Load) -> None:
    """The name is the reference, the API's URLs follow from the domain."""
    config = load(
        XURRENT + '[apps.api]\nclient_id = "c"\nclient_secret_env = "CLIENT_SECRET"', ENVIRON
    )
    app = config.app("xurrent", "notes")
    assert isinstance(app, XurrentApp)
    assert (app.name, app.account, app.domain) == ("notes", "wdc", "xurrent.com")
    assert app.api == XurrentApi(
        base_url="https://api.xurrent.com/v1",
        oauth_url="https://oauth.xurrent.com/token",
        client_id="c",
        client_secret="s",
    )
    assert (app.reconcile, app.previous_key_grace) == (3600.0, 86400.0)
    assert app.claim_expires_in is None
    assert app.removals == Removals(share=0.1, at_least=5, hold=3600.0)
    assert config.app("rebilly", "notes") is None


def test_a_xurrent_api_is_used_in_one_way(load: Load, faults_of: FaultsOf) -> None:
    """A personal access token or a client, not both and not neither."""
    app = load(XURRENT + '[apps.api]\ntoken_env = "API_KEY"', ENVIRON).apps[0]
    assert isinstance(app, XurrentApp)
    assert app.api is not None
    assert app.api.token == "k"
    both = '[apps.api]\ntoken_env = "API_KEY"\nclient_id = "c"\nclient_secret_env = "API_KEY"'
    assert set(faults_of(XURRENT + both, ENVIRON)) == {"apps[0].api.token_env"}
    assert set(faults_of(XURRENT + "[apps.api]", ENVIRON)) == {"apps[0].api.client_id"}


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (BASIC, Basic(username="u", password="p")),
        (
            '[apps.credentials]\ntype = "header"\nname = "X-Hook"\nvalue_env = "API_KEY"\n',
            Header(name="X-Hook", value="k"),
        ),
        ('[apps.credentials]\ntype = "none"\n', NoCredential()),
    ],
)
def test_a_rebilly_app_with_each_credential(credentials: str, expected: object, load: Load) -> None:
    """Each kind of credential is read, its secret from the environment."""
    api = '[apps.api]\napi_key_env = "API_KEY"\nbase_url = "http://127.0.0.1:9/o/"\n'
    app = load(REBILLY + credentials + api + 'reconcile = "5m"', ENVIRON).app("rebilly", "app_1")
    assert isinstance(app, RebillyApp)
    assert app.credential == expected
    assert app.api == RebillyApi(base_url="http://127.0.0.1:9/o", api_key="k")
    assert app.reconcile == 300.0


def test_a_xandr_app(load: Load) -> None:
    """A plugin is polled and has no credential for deliveries."""
    api = '[apps.api]\nusername_env = "API_KEY"\npassword_env = "HOOK_PASSWORD"'
    app = load(XANDR + 'poll = "1s"\n' + api, ENVIRON).app("xandr", "20")
    expected = XandrApi(base_url="https://api.appnexus.com", username="k", password="p")
    assert app == XandrApp(name="20", reference="20", poll=1.0, api=expected)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (XURRENT.replace('"wdc"', '"-"'), "apps[0].account"),
        (XURRENT.replace('"wdc"', '"w.dc"'), "apps[0].account"),
        (XURRENT.replace('"Xurrent.com"', '"https://x.com"'), "apps[0].domain"),
        (XURRENT.replace('"notes"', '"-"'), "apps[0].reference"),
        (XURRENT.replace('"notes"', '"no tes"'), "apps[0].name"),
        (XURRENT + 'name = "-a"', "apps[0].name"),
        (XURRENT + 'allow_ips = ["x"]', "apps[0].allow_ips[0]"),
        (XURRENT.replace("platform", "platfrm"), "apps[0].platform"),
        (XURRENT + "api = 1", "apps[0].api"),
        (XURRENT + "[apps.removals]\nshare = 1.1", "apps[0].removals.share"),
        (XURRENT + "[apps.removals]\nat_least = 0", "apps[0].removals.at_least"),
        (REBILLY, "apps[0].credentials"),
        (REBILLY + 'credentials = "basic"', "apps[0].credentials"),
        (REBILLY + '[apps.credentials]\ntype = "none"', "apps[0].credentials.type"),
        (REBILLY + '[apps.credentials]\ntype = "digest"', "apps[0].credentials.type"),
        (REBILLY + BASIC + 'name = "x"', "apps[0].credentials.name"),
        (REBILLY + BASIC.replace('"u"', '"u:v"'), "apps[0].credentials.username"),
        (REBILLY + BASIC + "[apps.api]", "apps[0].api.api_key_env"),
        (
            REBILLY + BASIC + '[apps.api]\napi_key_env = "API_KEY"\nbase_url = "http://a.b"',
            "apps[0].api.base_url",
        ),
        (XANDR + 'poll = "999ms"', "apps[0].poll"),
    ],
)
def test_a_wrong_value_of_an_app_is_one_fault(text: str, path: str, faults_of: FaultsOf) -> None:
    """Each fault is told once, at the value where it lies."""
    assert set(faults_of(text, ENVIRON)) == {path}


def test_a_variable_that_is_not_set_is_named(faults_of: FaultsOf) -> None:
    """The fault names the key and the variable."""
    text = REBILLY + BASIC
    path = "apps[0].credentials.password_env"
    assert faults_of(text) == {path: "the environment variable HOOK_PASSWORD is not set"}
    assert faults_of(text, {"HOOK_PASSWORD": " "}) == {
        path: "the environment variable HOOK_PASSWORD is empty"
    }


def test_names_and_references_are_unique_per_platform(load: Load, faults_of: FaultsOf) -> None:
    """Two apps may share a name on two marketplaces only, and a reference with two providers."""
    other_provider = XURRENT.replace('"wdc"', '"abc"') + 'name = "second"\n'
    xandr = XANDR.replace('"20"', '"notes"')
    assert len(load(XURRENT + other_provider + xandr).apps) == 3
    again = XURRENT + XURRENT + REBILLY + BASIC + REBILLY + 'name = "b"\n' + BASIC
    assert set(faults_of(again, ENVIRON)) == {
        "apps[1].name",
        "apps[1].reference",
        "apps[3].reference",
    }
