"""The wheel holds our four import packages, whole, and nothing else that can be imported."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "innkeeper": ROOT / "innkeeper",
    "innkeeper_receiver": ROOT / "receiver" / "innkeeper_receiver",
    "innkeeper_workers": ROOT / "workers" / "innkeeper_workers",
    "innkeeper_console": ROOT / "console" / "innkeeper_console",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (built,) = folder.glob("*.whl")
    return built


def test_no_import_name_but_ours(wheel: Path) -> None:
    """The wheel installs the four packages, its own metadata and no other top-level name."""
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {name for name in names if not name.endswith(".dist-info")} == set(PACKAGES)


def test_nothing_of_the_packages_is_left_out(wheel: Path) -> None:
    """Every file of the four packages, the Lua scripts too, is in the wheel."""
    sources = {
        f"{package}/{path.relative_to(folder)}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert sources - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_installed_it_can_be_imported(wheel: Path, tmp_path: Path) -> None:
    """Installed into an empty folder, the four packages and the command come from there."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-index", "--no-deps", "--target", str(tmp_path), str(wheel))
    places = "; ".join(f"print({package}.__file__)" for package in PACKAGES)
    # Before all else on the path, so that the checkout's own packages are not the ones found.
    ahead = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    said = run(
        sys.executable,
        "-I",
        "-c",
        f"{ahead}; import innkeeper_console.cli, {', '.join(PACKAGES)}; {places}",
    )

    assert said.splitlines() == [str(tmp_path / package / "__init__.py") for package in PACKAGES]
    assert (tmp_path / "bin" / "innkeeper").is_file()


def test_the_wheel_asks_for_what_is_locked(wheel: Path) -> None:
    """The wheel's requirements, its `embedded` extra included, are the lines of requirements.in."""
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    asked = re.findall(r"^Requires-Dist: ([^;\n]+)", archive.read(metadata).decode(), re.MULTILINE)

    assert sorted(map(normal, asked)) == sorted(map(normal, requirement_lines("requirements.in")))


def requirement_lines(name: str) -> list[str]:
    """Return the lines of a requirements file that name a package."""
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if re.match(r"[a-z]", line)]


def normal(requirement: str) -> str:
    """Return a requirement such as `rq>=3.0,<3.1` with its bounds in one order and no spaces."""
    name, bounds = re.fullmatch(r"([^<>=!~]+)(.*)", requirement.replace(" ", "")).groups()  # type: ignore[union-attr]
    return f"{name}{','.join(sorted(bounds.split(',')))}"


def run(*argv: str) -> str:
    """Run a program in the checkout; return what it printed, or fail with it."""
    done = subprocess.run(
        argv,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
