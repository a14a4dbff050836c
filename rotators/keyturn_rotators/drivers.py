"""The drivers that go into an engine's zip: exactly the versions that Keyturn was tested with, whatever is installed where it is built.

`data/drivers.json` holds them, with the digests of their wheels, as uv.lock had them at the release. A driver in pure Python is taken from
this environment, if that has the version; anything else is fetched by uv, which compares the digests.
"""

import json
import pkgutil
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

LOCKED = "data/drivers.json"
PURE = "none-any"
LAMBDA_PYTHON = "3.13"
LAMBDA_GLIBC = "manylinux_2_34"  # Amazon Linux 2023
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}  # Lambda's name: Linux's
FETCH_SECONDS = 300

OF_THE_RUNTIME = frozenset({"boto3", "botocore"})
"""AWS's Python runtimes have the SDK, and document no other package: https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html"""

FOR_BROWSERS = frozenset({"beautifulsoup4", "lxml", "pytz", "requests", "setuptools"})
"""What redshift-connector imports only to log in at an identity provider's web page."""


class DriverError(Exception):
    """A driver cannot be had for the target. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a zip is to run on. It matters to drivers with C code only."""

    architecture: str = "x86_64"  # as Lambda calls it
    python: str = LAMBDA_PYTHON

    @classmethod
    def here(cls) -> "Target":
        """This very Python."""
        [architecture] = [name for name, machine in MACHINES.items() if machine == platform.machine()]
        return cls(architecture=architecture, python="{}.{}".format(*sys.version_info))


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One distribution at the version that was tested."""

    name: str
    version: str
    requires: tuple[str, ...]
    wheels: dict[str, str]  # tag of a wheel: its sha256

    @property
    def pure(self) -> bool:
        """The same for every architecture and Python."""
        return PURE in self.wheels

    def published(self, architecture: str) -> bool:
        """Whether there is a wheel for it."""
        return self.pure or any(tag.endswith(MACHINES[architecture]) for tag in self.wheels)

    def requirement(self) -> str:
        """As a line of a requirements file. Where there is a pure wheel, no other will do."""
        digests = [self.wheels[PURE]] if self.pure else list(self.wheels.values())
        return " ".join((f"{self.name}=={self.version}", *(f"--hash=sha256:{digest}" for digest in digests)))


@cache
def locked() -> dict[str, Locked]:
    """Every distribution that some driver needs, by name."""
    content = json.loads(pkgutil.get_data("keyturn_rotators", LOCKED) or b"{}")
    return {
        name: Locked(name=name, version=entry["version"], requires=tuple(entry["requires"]), wheels=entry["wheels"])
        for name, entry in content.items()
    }


def needed(drivers: Iterable[str]) -> list[Locked]:
    """The drivers and what they need, sorted by name."""
    found: dict[str, Locked] = {}
    waiting = [re.sub(r"[-_.]+", "-", name).lower() for name in drivers]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = locked()[name]
            waiting += found[name].requires
    return [found[name] for name in sorted(found)]


def portable(drivers: Iterable[str]) -> bool:
    """Whether they are the same for every architecture and Python."""
    return all(one.pure for one in needed(drivers))


def published(drivers: Iterable[str], architecture: str) -> bool:
    """Whether all of them can be had for it."""
    return all(one.published(architecture) for one in needed(drivers))


def collected(drivers: Iterable[str], *, target: Target, directory: Path) -> Iterator[Distribution]:
    """The distributions for the target. What this environment lacks is fetched into the directory. Raises DriverError."""
    missing: list[Locked] = []
    for one in needed(drivers):
        installed = _installed(one)
        if installed:
            yield installed
        else:
            missing.append(one)
    if missing:
        _fetch(missing, target, directory)
        yield from distributions(path=[str(directory)])


def _installed(wanted: Locked) -> Distribution | None:
    try:
        found = distribution(wanted.name)
    except PackageNotFoundError:
        return None
    pure = "Root-Is-Purelib: true" in (found.read_text("WHEEL") or "")
    return found if wanted.pure and pure and found.version == wanted.version and found.files else None


def _fetch(wanted: list[Locked], target: Target, directory: Path) -> None:
    if lacking := [one.name for one in wanted if not one.published(target.architecture)]:
        raise DriverError(f"{', '.join(lacking)} is not published for {target.architecture}")
    requirements = directory / "requirements.txt"
    requirements.write_text("".join(f"{one.requirement()}\n" for one in wanted))
    command = [_uv(), "pip", "install", "--quiet", "--target", str(directory), "--python", sys.executable, "--link-mode", "copy"]
    command += ["--python-version", target.python, "--python-platform", f"{MACHINES[target.architecture]}-{LAMBDA_GLIBC}"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirements", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)  # noqa: S603  # no shell, our own words
    requirements.unlink()
    if done.returncode:
        names = ", ".join(one.name for one in wanted)
        raise DriverError(f"uv could not fetch {names} for Python {target.python} on {target.architecture}:\n{done.stderr.strip()}")


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise DriverError("this engine's driver has to be fetched, and uv is not there to do it: `pip install uv`")
    return found
