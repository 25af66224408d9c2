"""The secrets of Innkeeper itself: the key ring and the operators' tokens.

From the environment, else from two files in the data folder, which only `innkeeper up` makes.
Called by `loading`, and by services that cannot do without. Never quotes a key or a token.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import ClassVar

from innkeeper.config.faults import ConfigFaults, Fault
from innkeeper.config.reading import Reading
from innkeeper.config.redaction import Redacted
from innkeeper.config.sections import Config
from innkeeper.durable import sync_folder, write_draft

SECRET_KEYS = "INNKEEPER_SECRET_KEYS"  # noqa: S105 - the name of a variable
API_TOKEN = "INNKEEPER_API_TOKEN"  # noqa: S105 - the name of a variable
SECRETS_TOKEN = "INNKEEPER_SECRETS_TOKEN"  # noqa: S105 - the name of a variable
KEYS_FILE = "secret-keys"
TOKEN_FILE = "api-token"  # noqa: S105 - the name of a file

_MAX_FILE_BYTES = 64 << 10
_GENERATE = "generate one with `openssl rand -base64 32`"


class Credentials(Redacted, frozen=True, kw_only=True):
    """What was found; empty where nothing was. `secret_keys_file`: where the keys come from it."""

    hidden: ClassVar[frozenset[str]] = frozenset({"secret_keys", "api_tokens", "secrets_token"})

    secret_keys: tuple[bytes, ...] = ()
    secret_keys_file: Path | None = None
    api_tokens: tuple[str, ...] = ()
    secrets_token: str | None = None


def read_credentials(reading: Reading, data: Path) -> Credentials:
    """Keys and tokens as they are; makes nothing."""
    path, keys = _stated(reading, SECRET_KEYS, data / KEYS_FILE)
    secret_keys = _parse_keys(reading, path, keys)
    keys_file = data / KEYS_FILE if keys and path != SECRET_KEYS else None
    path, tokens = _stated(reading, API_TOKEN, data / TOKEN_FILE)
    secrets_token = reading.variable(SECRETS_TOKEN)
    _check_tokens(reading, path, tokens)
    if secrets_token is not None:
        _check_tokens(reading, SECRETS_TOKEN, [secrets_token])
        if secrets_token in tokens:
            reading.fault(SECRETS_TOKEN, f"must be another one than {API_TOKEN}")
    return Credentials(
        secret_keys=secret_keys,
        secret_keys_file=keys_file,
        api_tokens=tuple(tokens),
        secrets_token=secrets_token,
    )


def read_keys_file(reading: Reading, path: Path) -> tuple[bytes, ...]:
    """The keys of a key file; none where it is missing. What is wrong with it becomes a fault."""
    stated = _read_private(reading, path).replace(",", " ").split()
    return _parse_keys(reading, str(path), stated)


def make_missing(reading: Reading, found: Credentials, data: Path) -> Credentials:
    """`found`, with keys and a token made and kept in the data folder where there are none.

    Raises ConfigFaults if the folder cannot be written to.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not found.secret_keys:
            _make(data / KEYS_FILE, base64.b64encode(secrets.token_bytes(32)).decode())
        if not found.api_tokens:
            _make(data / TOKEN_FILE, secrets.token_urlsafe(32))
    except OSError as wrong:
        raise ConfigFaults(
            [Fault(path=str(data), message=f"keys cannot be made there: {wrong.strerror}")]
        ) from None
    made = read_credentials(reading, data)
    if reading.faults:
        raise ConfigFaults(reading.faults)
    return made


def require_keys(config: Config) -> None:
    """Raise ConfigFaults if there is no key with which to encrypt."""
    if not config.secret_keys:
        message = (
            f"is not set, and {config.data / KEYS_FILE} does not exist: it takes base64 of 32 "
            f"random bytes, {_GENERATE}; `innkeeper up` makes one by itself"
        )
        raise ConfigFaults([Fault(path=SECRET_KEYS, message=message)])


def require_token(config: Config) -> None:
    """Raise ConfigFaults if there is no token for operators."""
    if not config.api_tokens:
        message = (
            f"is not set, and {config.data / TOKEN_FILE} does not exist; "
            "`innkeeper up` makes one by itself"
        )
        raise ConfigFaults([Fault(path=API_TOKEN, message=message)])


def _stated(reading: Reading, variable: str, path: Path) -> tuple[str, list[str]]:
    """Where the values stand, and the values: separated by commas or white space."""
    stated = (reading.variable(variable) or "").replace(",", " ").split()
    if stated:
        return variable, stated
    return str(path), _read_private(reading, path).replace(",", " ").split()


def _read_private(reading: Reading, path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as wrong:
        reading.fault(str(path), f"cannot be read: {wrong.strerror}")
        return ""
    if mode & 0o077:
        reading.fault(str(path), f"is open to others (mode {mode:04o}): chmod 600")
    elif len(content) > _MAX_FILE_BYTES or not content.isascii():
        reading.fault(str(path), "does not hold keys or tokens")
    elif not content.strip():
        reading.fault(str(path), "is empty")
    else:
        return content.decode("ascii")
    return ""


def _parse_keys(reading: Reading, path: str, stated: list[str]) -> tuple[bytes, ...]:
    keys: list[bytes] = []
    for place, text in enumerate(stated, start=1):
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            reading.fault(path, f"key {place} is not base64 of exactly 32 bytes; {_GENERATE}")
        elif key in keys:
            reading.fault(path, f"key {place} stands there twice")
        keys.append(key)
    return tuple(keys)


def _check_tokens(reading: Reading, path: str, tokens: list[str]) -> None:
    for place, token in enumerate(tokens, start=1):
        if not (token.isascii() and token.isprintable()) or " " in token:
            reading.fault(path, f"token {place} does not consist of printable ASCII characters")


def _make(path: Path, content: str) -> None:
    """Make a private file once; whoever comes second finds the whole file of the first."""
    draft = write_draft(path, f"{content}\n".encode())
    try:
        # Two that start at once: the link is atomic and refuses to replace.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    sync_folder(path.parent)
