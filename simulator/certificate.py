"""A self-made authority and a certificate for the issuers' host, for the time of a run."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIVES = dt.timedelta(days=30)


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Files: whom to trust, what to show, and its key."""

    authority: Path
    chain: Path
    key: Path


def make_certificate(folder: Path, host: str) -> Certificate:
    """Write an authority and a certificate for `host` into `folder`."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Innkeeper's simulator")])
    authority = _build(name, name, authority_key.public_key(), None).sign(
        authority_key, hashes.SHA256()
    )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    shown = _build(subject, name, key.public_key(), host).sign(authority_key, hashes.SHA256())
    files = Certificate(
        authority=folder / "ca.pem", chain=folder / "server.pem", key=folder / "server-key.pem"
    )
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.chain.write_bytes(shown.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _build(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, host: str | None
) -> x509.CertificateBuilder:
    """A certificate; `host`: None for the authority's own."""
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIVES)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is None:
        return builder
    names = x509.SubjectAlternativeName([_name(host), x509.DNSName("localhost")])
    return builder.add_extension(names, critical=False)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
