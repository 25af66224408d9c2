"""Writes configurations into files and loads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat as Format

from innkeeper.config import Config, ConfigFaults, load_config

Load = Callable[..., Config]
FaultsOf = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads this text as the configuration."""

    def load(text: str, environ: Mapping[str, str] | None = None) -> Config:
        file = tmp_path / "innkeeper.toml"
        file.write_text(text)
        return load_config(file, environ or {})

    return load


@pytest.fixture
def faults_of(load: Load) -> FaultsOf:
    """The faults of this text, messages by path."""

    def faults_of(text: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        with pytest.raises(ConfigFaults) as raised:
            load(text, environ)
        found = {fault.path: fault.message for fault in raised.value.faults}
        assert len(found) == len(raised.value.faults), raised.value
        return found

    return faults_of


def _public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, Format.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="session")
def rsa_pem() -> str:
    """An RSA public key that is good enough."""
    return _public(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def other_rsa_pem() -> str:
    """Another one."""
    return _public(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def p521() -> tuple[str, str]:
    """An EC key on P-521: its private and its public half."""
    key = ec.generate_private_key(ec.SECP521R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, _public(key)
