"""The provider's signing policy: from a key, by discovery, or lent by the provider's other app."""

from __future__ import annotations

from pathlib import Path

import pytest

from innkeeper.config import Discovery, XurrentApp
from innkeeper.lifecycle.events import SigningPolicy
from tests.config.conftest import FaultsOf, Load


def app(name: str, policy: str = "", account: str = "wdc") -> str:
    """An app's table, with what stands in its policy's table."""
    table = f"[apps.policy]\n{policy}\n" if policy else ""
    return (
        f'[[apps]]\nplatform = "xurrent"\nreference = "{name}"\naccount = "{account}"\n'
        f'domain = "xurrent.com"\n{table}'
    )


def read(config: object) -> XurrentApp:
    """The one app, as what it is."""
    (found,) = config.apps  # type: ignore[attr-defined]
    assert isinstance(found, XurrentApp)
    return found


def test_a_key_file_beside_the_configuration(tmp_path: Path, load: Load, rsa_pem: str) -> None:
    """A relative path is relative to the file; the algorithm may be in lower case."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/wdc.pem").write_text(rsa_pem)
    found = read(
        load(
            app(
                "a",
                'algorithm = "rs256"\nkey_file = "keys/wdc.pem"\naudience = "us"\n'
                'issuer = "https://wdc.xurrent.com"\nclaim_expires_in = "10m"\n'
                'previous_key_grace = "1h"',
            )
        )
    )
    policy = found.policy
    assert isinstance(policy, SigningPolicy)
    assert (policy.algorithm, policy.public_key) == ("RS256", rsa_pem)
    assert (policy.audience, policy.issuer) == ("us", "https://wdc.xurrent.com")
    assert (found.claim_expires_in, found.previous_key_grace) == (600.0, 3600.0)


def test_of_a_private_key_only_the_public_half_is_kept(load: Load, p521: tuple[str, str]) -> None:
    """The EC private PEM that was once handed out is taken, and not kept."""
    private, public = p521
    policy = read(load(app("a", f'algorithm = "ES512"\nkey = """{private}"""'))).policy
    assert isinstance(policy, SigningPolicy)
    assert policy.public_key == public


def test_discovery(load: Load) -> None:
    """By discovery there is no key, and everything else is optional."""
    found = read(load(app("a", 'discovery = true\nalgorithm = "es256"')))
    assert found.policy == Discovery(algorithm="ES256")


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ('algorithm = "hs256"\nkey = "{rsa}"', "algorithm"),
        ('algorithm = "none"\nkey = "{rsa}"', "algorithm"),
        ('key = "{rsa}"', "algorithm"),
        ('algorithm = "es256"\nkey = "{rsa}"', "key"),
        ('algorithm = "es256"\nkey = "{p521}"', "key"),
        ('algorithm = "rs256"\nkey = "hunter2"', "key"),
        ('algorithm = "rs256"\nkey = " "', "key"),
        ('algorithm = "rs256"\nkey = "{rsa}"\nkey_file = "no.pem"', "key"),
        ('algorithm = "rs256"', "key_file"),
        ('algorithm = "rs256"\nkey_file = "no.pem"', "key_file"),
        ('algorithm = "rs256"\nkey_file = "."', "key_file"),
        ('algorithm = "rs256"\nkey = "{rsa}"\nissuer = "http://a.example"', "issuer"),
        ('algorithm = "rs256"\nkey = "{rsa}"\nclaim_expires_in = 0', "claim_expires_in"),
        ('discovery = true\nkey = "{rsa}"', "key"),
        ('discovery = "yes"\nalgorithm = "rs256"\nkey = "{rsa}"', "discovery"),
    ],
)
def test_a_wrong_policy_is_one_fault(
    policy: str, path: str, faults_of: FaultsOf, rsa_pem: str, p521: tuple[str, str]
) -> None:
    """Each fault is told at the value where it lies, also to apps that would borrow, and once."""
    text = policy.replace("{rsa}", rsa_pem.replace("\n", "\\n"))
    text = text.replace("{p521}", p521[1].replace("\n", "\\n"))
    found = faults_of(app("a", text) + app("b"))
    assert set(found) == {f"apps[0].policy.{path}"}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("content", [b"", b"\xff", b"x" * 70000])
def test_a_key_file_of_anything_is_a_fault(
    content: bytes, tmp_path: Path, faults_of: FaultsOf
) -> None:
    """A file that holds no key is told with its path."""
    (tmp_path / "k.pem").write_bytes(content)
    found = faults_of(app("a", 'algorithm = "rs256"\nkey_file = "k.pem"'))
    assert str(tmp_path / "k.pem") in found["apps[0].policy.key_file"]


def test_a_policy_is_lent_within_a_provider(load: Load) -> None:
    """An app without a policy has the one of its provider's other app, wherever that stands."""
    policy = 'discovery = true\nclaim_expires_in = "10m"\nprevious_key_grace = "2h"'
    config = load(app("a") + app("b", policy) + app("c", "discovery = true", account="abc"))
    borrower = config.app("xurrent", "a")
    assert isinstance(borrower, XurrentApp)
    assert borrower.policy == Discovery()
    assert (borrower.claim_expires_in, borrower.previous_key_grace) == (600.0, 7200.0)


def test_no_policy_is_guessed(faults_of: FaultsOf) -> None:
    """Without one of the provider, or with two that differ, a policy left out is a fault."""
    alone = faults_of(app("a") + app("b", "discovery = true", account="abc"))
    assert "no other app" in alone["apps[0].policy"]
    one, two = 'discovery = true\naudience = "1"', 'discovery = true\naudience = "2"'
    assert "differ" in faults_of(app("a") + app("b", one) + app("c", two))["apps[0].policy"]
