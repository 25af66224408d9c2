"""The lock files: hashed, without addresses, one within the other, true to what was asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_is_hashed_and_none_has_an_address(name: str) -> None:
    """A lock file is pins with SHA-256 hashes and names no place to fetch them from."""
    text = (ROOT / name).read_text()

    assert "://" not in text
    assert re.findall(r"^-", text, re.MULTILINE) == []
    assert [pin for pin, hashes in blocks(text) if not hashes] == []


def test_what_runs_is_what_is_tested() -> None:
    """Each pin of requirements.txt is in requirements-dev.txt, with the same hashes."""
    runtime, tested = (
        dict(blocks((ROOT / name).read_text()))
        for name in ("requirements.txt", "requirements-dev.txt")
    )

    assert {pin: tested.get(pin) for pin in runtime} == runtime


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_pins_are_what_was_asked_for(name: str) -> None:
    """Each line of a requirements*.in is met by its lock file: nobody forgot `make lock`."""
    asked = [
        Requirement(line)
        for line in (ROOT / f"{name}.in").read_text().splitlines()
        if re.match(r"[a-z]", line)
    ]
    pinned = {}
    for pin, _ in blocks((ROOT / f"{name}.txt").read_text()):
        package, _, version = pin.partition(" ")[0].partition("==")
        pinned[canonicalize_name(package)] = version

    unmet = [
        str(requirement)
        for requirement in asked
        if pinned.get(canonicalize_name(requirement.name), "") not in requirement.specifier
    ]

    assert unmet == []


def blocks(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return (pin with its marker, its hashes) for each block of a lock file."""
    found = re.findall(r"^([a-z][^\\\n]*?) ?((?:\\\n    --hash=\S+ ?)*)$", text, re.MULTILINE)
    return [(pin, tuple(re.findall(r"sha256:[0-9a-f]{64}", hashes))) for pin, hashes in found]
