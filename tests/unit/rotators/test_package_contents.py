"""Every engine's zip: what is in it, and that its function starts with nothing but boto3 beside it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keyturn_lab.aws.workers import runtime_directory
from keyturn_rotators.drivers import Target
from keyturn_rotators.engines.registry import ENTRIES, Entry
from keyturn_rotators.package import architectures, build, code_sha256, contents_sha256, is_portable

LIMIT = 10_000_000
LARGEST_UNPACKED = 250 * 2**20  # Lambda's limit
TOO_LARGE = {"db2"}
"""IBM's driver brings IBM's whole client."""

START = """
import sys
sys.path[:0] = sys.argv[1:3]
from importlib import import_module
from pathlib import Path
import keyturn_rotators.lambda_handler as entry
code = Path(sys.argv[1])
names = [".".join(path.relative_to(code).with_suffix("").parts).removesuffix(".__init__") for path in code.glob("keyturn_rotators/**/*.py")]
loaded = [import_module(name) for name in names]
assert all(Path(module.__file__).is_relative_to(code) for module in loaded), loaded
print(len(names), callable(entry.handler), sys.argv[3] in names)
"""


@pytest.fixture(scope="module", params=[one for one in ENTRIES if one.module not in TOO_LARGE], ids=lambda entry: entry.module)
def entry(request: pytest.FixtureRequest) -> Entry:
    found: Entry = request.param
    return found


@pytest.fixture(scope="module")
def content(entry: Entry) -> bytes:
    """The zip for the Python and the machine that run the tests."""
    return build(entry.module, target=Target.here())


def names(content: bytes) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(content)).namelist())


@pytest.mark.timeout(400)
def test_the_handler_the_engine_and_its_driver_are_imported_with_nothing_but_boto3_beside_the_zip(
    entry: Entry, content: bytes, tmp_path: Path
) -> None:
    starts(entry.module, content, tmp_path)


def starts(module: str, content: bytes, directory: Path) -> None:
    """Import everything that is in the zip, with AWS's SDK beside it and nothing else."""
    code = directory / "code"
    zipfile.ZipFile(io.BytesIO(content)).extractall(code)
    command = [sys.executable, "-I", "-S", "-c", START, str(code), str(runtime_directory(directory)), f"keyturn_rotators.engines.{module}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory, check=False)
    assert done.stdout.split()[1:] == ["True", "True"], done.stderr
    assert int(done.stdout.split()[0]) > 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", sorted(TOO_LARGE))
def test_a_zip_with_a_whole_client_starts_and_fits_into_a_function_but_is_larger_than_the_others(module: str, tmp_path: Path) -> None:
    """Compressing it takes long, so it is built once for all that is asked of it."""
    assert architectures(module) == ["x86_64"]
    content = build(module, target=Target.here())
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert len(content) > LIMIT
    assert sum(entry.file_size for entry in archive.infolist()) < LARGEST_UNPACKED
    assert "keyturn_rotators/data/rds-ca.pem" in archive.namelist()
    assert not [name for name in archive.namelist() if name.startswith(("boto3/", "clidriver/db2dump/"))]
    starts(module, content, tmp_path)


def test_no_other_engine_is_in_it(entry: Entry, content: bytes) -> None:
    folder = "keyturn_rotators/engines/"
    inside = {name.removeprefix(folder).split("/")[0].removesuffix(".py") for name in names(content) if name.startswith(folder)}
    others = {other.module for other in ENTRIES} - {entry.module}
    assert entry.module in inside
    assert {name for name in inside & others if f"engines.{name}" not in _text(content, entry.module)} == set()


def _text(content: bytes, module: str) -> str:
    """What an engine's own files say, in which an engine that it builds on is named."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    own = [name for name in archive.namelist() if name.startswith(f"keyturn_rotators/engines/{module}") and name.endswith(".py")]
    return "".join(archive.read(name).decode() for name in own)


def test_neither_awss_sdk_nor_what_builds_the_zip_is_in_it(content: bytes) -> None:
    unwanted = (
        "boto3/",
        "botocore/",
        "s3transfer/",
        "keyturn_rotators/package.py",
        "keyturn_rotators/drivers.py",
        "keyturn_rotators/cli.py",
    )
    assert not [name for name in names(content) if name.startswith(unwanted)]


def test_rdss_authorities_go_along_with_the_engines_that_rds_has_and_with_no_other(entry: Entry, content: bytes) -> None:
    assert ("keyturn_rotators/data/rds-ca.pem" in names(content)) == entry.rds


@pytest.mark.timeout(400)
def test_a_zip_is_under_10_mb_for_either_architecture_but_for_those_that_are_named(entry: Entry) -> None:
    assert architectures(entry.module) == ["x86_64", "arm64"]
    for architecture in architectures(entry.module):
        assert len(build(entry.module, target=Target(architecture=architecture))) < LIMIT


@pytest.mark.timeout(400)
def test_another_process_makes_the_same_bytes(entry: Entry, content: bytes) -> None:
    program = (
        "import sys; from keyturn_rotators.drivers import Target; from keyturn_rotators.package import build, code_sha256\n"
        "print(code_sha256(build(sys.argv[1], target=Target.here())))"
    )
    environment = dict(os.environ) | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", program, entry.module]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == code_sha256(content), done.stderr


def test_a_driver_in_pure_python_makes_the_same_zip_whatever_it_is_for(entry: Entry, content: bytes) -> None:
    same = contents_sha256(build(entry.module, target=Target(architecture="arm64", python="3.12"))) == contents_sha256(content)
    assert same == is_portable(entry.module)
