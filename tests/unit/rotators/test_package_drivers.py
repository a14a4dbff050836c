"""Where the drivers of a zip come from: this environment where it has what was tested, else uv, and never anything else."""

from __future__ import annotations

import struct
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from keyturn_rotators import drivers
from keyturn_rotators.drivers import PURE, DriverError, Locked, Target, collected
from keyturn_rotators.package import build

pytestmark = pytest.mark.timeout(400)
X86_64, AARCH64 = 62, 183
"""e_machine in a file of the ELF format."""


def fetched(name: str, directory: Path, **target: str) -> list[str]:
    """Names of the distributions that were collected for a target."""
    return [found.name for found in collected([name], target=Target(**target), directory=directory)]


def machines(directory: Path) -> set[int]:
    """The processors of all shared objects."""
    found = [path.read_bytes()[:20] for path in directory.rglob("*.so")]
    assert all(header.startswith(b"\x7fELF") for header in found)
    return {struct.unpack("<H", header[18:20])[0] for header in found}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that has no driver."""

    def none(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(drivers, "distribution", none)


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", X86_64), ("arm64", AARCH64)])
def test_a_driver_with_c_code_is_fetched_for_the_targets_processor_and_python(architecture: str, machine: int, tmp_path: Path) -> None:
    assert "oracledb" in fetched("oracledb", tmp_path, architecture=architecture, python="3.13")
    assert machines(tmp_path) == {machine}
    versions = {path.name.split(".")[1].split("-")[1] for path in tmp_path.rglob("oracledb/*.so")}
    assert versions == {"313"}


def test_a_driver_that_is_not_published_for_an_architecture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="ibm-db is not published for arm64"):
        fetched("ibm-db", tmp_path, architecture="arm64")


@pytest.mark.usefixtures("nothing_installed")
def test_a_driver_that_is_fetched_makes_the_same_bytes_as_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    without = build("postgres")
    monkeypatch.undo()
    assert without == build("postgres")


@pytest.mark.usefixtures("nothing_installed")
def test_a_wheel_with_another_digest_than_the_locked_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forged = Locked(name="six", version=drivers.locked()["six"].version, requires=(), wheels={PURE: "0" * 64})
    monkeypatch.setattr(drivers, "locked", lambda: {"six": forged})
    with pytest.raises(DriverError, match="uv could not fetch six"):
        fetched("six", tmp_path)


def test_another_version_than_the_locked_one_is_not_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def older(name: str) -> Distribution:
        metadata = tmp_path / f"{name}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: 0.1\n")
        (metadata / "WHEEL").write_text("Root-Is-Purelib: true\n")
        (metadata / "RECORD").write_text("six.py,,\n")
        return Distribution.at(metadata)

    monkeypatch.setattr(drivers, "distribution", older)
    directory = tmp_path / "fetched"
    directory.mkdir()
    [found] = collected(["six"], target=Target(), directory=directory)
    assert found.version == drivers.locked()["six"].version


def test_a_file_that_was_changed_since_its_driver_was_installed_stops_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = distribution("six")
    metadata = tmp_path / "six-0.dist-info"
    metadata.mkdir()
    for name in ("METADATA", "WHEEL"):
        (metadata / name).write_text(real.read_text(name) or "")
    record = (real.read_text("RECORD") or "").splitlines(keepends=True)
    (metadata / "RECORD").write_text("".join(line for line in record if line.startswith("six.py,")))
    (tmp_path / "six.py").write_text("changed = True\n")
    found: dict[str, Any] = {"six": Distribution.at(metadata)}
    monkeypatch.setattr(drivers, "distribution", lambda name: found.get(name) or distribution(name))
    with pytest.raises(DriverError, match=r"six\.py of six has been changed since it was installed"):
        build("postgres")


def test_without_uv_the_message_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(DriverError, match="pip install uv"):
        fetched("oracledb", tmp_path)
