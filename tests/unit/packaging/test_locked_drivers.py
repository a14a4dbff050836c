"""The drivers that are shipped are the ones of uv.lock. KEYTURN_REGENERATE=1 writes them anew after `uv lock`."""

from __future__ import annotations

import json
import os
import re
import tomllib
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.utils import parse_wheel_filename
from tests.unit.packaging.dockerfile import ROOT

from keyturn_rotators.drivers import FOR_BROWSERS, MACHINES, OF_THE_RUNTIME, PURE, locked, needed, portable
from keyturn_rotators.engines.registry import ENTRIES

FILE = ROOT / "rotators" / "keyturn_rotators" / "data" / "drivers.json"
NOT_SHIPPED = {"lab"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # one zip is for all of them, where its driver has no C code
LAMBDA = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}


def of_the_lock() -> dict[str, Any]:
    """What drivers.json has to hold."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        packages.setdefault(package["name"], []).append(package)
    extras = packages["keyturn"][0]["optional-dependencies"]
    waiting = [wanted for extra in extras.keys() - NOT_SHIPPED for wanted in extras[extra]]
    found: dict[str, Any] = {}
    while waiting:
        wanted = waiting.pop()
        if wanted["name"] in found:
            continue
        candidates = packages[wanted["name"]]
        [package] = [one for one in candidates if one["version"] == wanted.get("version", one["version"])]
        requires = [one for one in package.get("dependencies", []) if shipped(one)]
        found[wanted["name"]] = {
            "version": package["version"],
            "requires": sorted(one["name"] for one in requires),
            "wheels": dict(sorted(wheels(package))),
        }
        waiting += requires
    return dict(sorted(found.items()))


def shipped(requirement: dict[str, Any]) -> bool:
    """Whether a requirement counts on Lambda, and is not there already."""
    marker = requirement.get("marker")
    pythons = [LAMBDA | {"python_full_version": f"{one}.9", "python_version": one} for one in PYTHONS]
    wanted = marker is None or any(Marker(marker).evaluate(python) for python in pythons)
    return requirement["name"] not in OF_THE_RUNTIME | FOR_BROWSERS and wanted


def wheels(package: dict[str, Any]) -> list[tuple[str, str]]:
    """(tag, sha256) of those that some Lambda or test machine can use."""
    found = []
    for wheel in package["wheels"]:
        name = wheel["url"].rpartition("/")[2]
        parse_wheel_filename(name)
        tag = name.removesuffix(".whl").split("-", 2)[2]
        linux = "manylinux" in tag and tag.endswith(tuple(MACHINES.values()))
        if tag.endswith(PURE) or (linux and re.search(r"(^|-)(cp31[1-9]-cp31\d-|cp3\d+-abi3-)", tag)):
            found.append((PURE if tag.endswith(PURE) else tag, wheel["hash"].removeprefix("sha256:")))
    return found


def test_the_file_is_what_the_lock_says() -> None:
    wanted = of_the_lock()
    if os.environ.get("KEYTURN_REGENERATE"):
        FILE.write_text(json.dumps(wanted, indent=1) + "\n")
    assert json.loads(FILE.read_text()) == wanted


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.module)
def test_every_driver_of_an_engine_and_what_it_needs_is_locked(entry: Any) -> None:
    assert len(needed(entry.drivers)) >= len(entry.drivers)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.module)
def test_no_engine_ships_awss_sdk(entry: Any) -> None:
    assert not {one.name for one in needed(entry.drivers)} & {"boto3", "botocore", "s3transfer", "jmespath"}


def test_a_requirement_pins_the_version_and_the_digests_and_takes_the_pure_wheel_where_there_is_one() -> None:
    one = locked()["pg8000"]
    assert one.requirement() == f"pg8000=={one.version} --hash=sha256:{one.wheels[PURE]}"
    assert locked()["oracledb"].requirement().count("--hash=sha256:") == len(locked()["oracledb"].wheels) > 1


def test_a_driver_goes_by_any_spelling_of_its_name() -> None:
    assert needed(["PyMySQL"]) == needed(["pymysql"])
    assert needed(["ibm_db"]) == [locked()["ibm-db"]]


def test_drivers_with_c_code_make_a_zip_for_one_architecture_only() -> None:
    assert portable(["pg8000"])
    assert not portable(["oracledb"])
    assert not portable(["pg8000", "cryptography"])
