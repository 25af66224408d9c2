"""Follow-ups: what sets them off, what they do, and how a wrong one is told."""

from __future__ import annotations

import base64

import pytest

from innkeeper.config import FollowUp
from tests.config.conftest import FaultsOf, Load

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
ENVIRON = {
    "HOOK_SECRET": SECRET,
    "SHORT_SECRET": "whsec_aHVudGVyMg==",
    "BARE_SECRET": SECRET.removeprefix("whsec_"),
}
APPS = """
[[apps]]
platform = "xandr"
reference = "20"
[[apps]]
platform = "xandr"
name = "second"
reference = "21"
"""
CALL = '[[follow_ups]]\non = ["enabled"]\ncall = "acme.hooks:provision"\n'
POST = (
    '[[follow_ups]]\non = ["enabled"]\npost = "https://a.example/x"\nsecret_env = "HOOK_SECRET"\n'
)


def test_both_kinds_with_their_defaults(load: Load) -> None:
    """The name defaults to the call or the post; the secret comes from the environment."""
    assert load(CALL + POST, ENVIRON).follow_ups == (
        FollowUp(name="acme.hooks:provision", on=("enabled",), call="acme.hooks:provision"),
        FollowUp(
            name="https://a.example/x",
            on=("enabled",),
            post="https://a.example/x",
            secret=SECRET,
        ),
    )


def test_everything_that_can_be_said(load: Load) -> None:
    """Every key is read."""
    more = 'name = "p"\napp = "second"\nplatform = "xandr"\ntimeout = "5m"\non_failure = "block"\n'
    (follow_up,) = load(APPS + CALL + more).follow_ups
    assert (follow_up.name, follow_up.app, follow_up.platform) == ("p", "second", "xandr")
    assert (follow_up.timeout, follow_up.on_failure) == (300.0, "block")


@pytest.mark.parametrize(
    ("app", "platform", "expected"),
    [
        (None, None, True),
        ("20", None, True),
        (None, "xandr", True),
        ("21", None, False),
        (None, "xurrent", False),
        ("20", "xurrent", False),
    ],
)
def test_which_transitions_are_wanted(
    app: str | None, platform: str | None, expected: bool
) -> None:
    """Those in its list, of its app and platform, where it names them."""
    follow_up = FollowUp(name="f", on=("enabled", "removed"), app=app, platform=platform)
    assert follow_up.wants("removed", "xandr", "20") is expected
    assert not follow_up.wants("installed", "xandr", "20")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (CALL.replace("enabled", "enabld"), "on[0]"),
        (CALL.replace('["enabled"]', "[]"), "on"),
        (CALL.replace('["enabled"]', '"enabled"'), "on"),
        ('[[follow_ups]]\ncall = "a:b"', "on"),
        ('[[follow_ups]]\non = ["enabled"]\nname = "n"', "call"),
        (POST + 'call = "a:b"', "post"),
        (CALL.replace(":", "."), "call"),
        (CALL.replace("acme", "1acme"), "call"),
        (CALL + 'secret_env = "HOOK_SECRET"', "secret_env"),
        (POST.replace("HOOK_SECRET", "NO_SUCH_SECRET"), "secret_env"),
        (POST.replace("HOOK_SECRET", "SHORT_SECRET"), "secret_env"),
        (POST.replace("HOOK_SECRET", "BARE_SECRET"), "secret_env"),
        (POST.replace("https", "http"), "post"),
        (CALL + 'timeout = "0s"', "timeout"),
        (CALL + 'on_failure = "stop"', "on_failure"),
        (CALL + 'app = "third"', "app"),
        (CALL + 'app = "20"\nplatform = "rebilly"', "app"),
        (CALL + 'platform = "zendesk"', "platform"),
        (CALL + 'whenever = "x"', "whenever"),
    ],
)
def test_a_wrong_follow_up_is_one_fault(text: str, key: str, faults_of: FaultsOf) -> None:
    """Each fault is told once, at the value where it lies."""
    assert set(faults_of(APPS + text, ENVIRON)) == {f"follow_ups[0].{key}"}


def test_names_are_unique(load: Load, faults_of: FaultsOf) -> None:
    """One function may be called by two follow-ups if they have two names."""
    assert set(faults_of(CALL + CALL)) == {"follow_ups[1].name"}
    assert len(load(CALL + CALL + 'name = "again"').follow_ups) == 2


def test_a_faulty_app_does_not_make_its_follow_up_faulty(faults_of: FaultsOf) -> None:
    """An app is found by its stated name, whatever else is wrong with it."""
    text = '[[apps]]\nplatform = "xandr"\nname = "a b"\nreference = "1"\n' + CALL + 'app = "a b"'
    assert set(faults_of(text)) == {"apps[0].name"}
