"""The Lambda's zip: its content, and that it is the same every time."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import keyturn_rotators
from keyturn_rotators.cli import main
from keyturn_rotators.package import EPOCH, build, code_sha256
from keyturn_rotators.tls import PACKAGED


@pytest.fixture(scope="module")
def content() -> bytes:
    return build("postgres")


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_two_builds_have_the_same_bytes_whatever_the_files_times_are(content: bytes) -> None:
    source = Path(keyturn_rotators.__file__)
    os.utime(source)
    assert build("postgres") == content


def test_entries_are_sorted_and_carry_neither_times_nor_modes_of_this_machine(content: bytes) -> None:
    entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr >> 16, entry.create_system) for entry in entries} == {(EPOCH, 0o100644, 3)}


def test_it_holds_the_rotators_the_driver_and_what_the_driver_needs_and_nothing_else(content: bytes) -> None:
    top = {name.split("/")[0] for name in names(content)}
    packages = {name for name in top if not name.endswith(".dist-info")}
    assert packages == {"keyturn_rotators", "pg8000", "scramp", "asn1crypto", "dateutil", "six.py"}
    assert not [name for name in names(content) if "__pycache__" in name or name.endswith((".pyc", "RECORD", "INSTALLER"))]


def test_the_handler_runs_from_the_zip_alone(content: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "rotator.zip"
    archive.write_bytes(content)
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "import keyturn_rotators.lambda_handler as entry, keyturn_rotators.engines.postgres as engine, pg8000, dateutil, scramp\n"
        "modules = (entry, engine, pg8000, dateutil, scramp)\n"
        f"assert all(module.__file__.startswith({str(archive)!r}) for module in modules), modules\n"
        "print(entry.handler({'Step': 'unheardOf'}, None)['result'])\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert finished.stdout.strip() == "Unsupported", finished.stderr


def test_a_bundle_of_authorities_goes_along(tmp_path: Path) -> None:
    bundle = tmp_path / "rds.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    assert PACKAGED in names(build("postgres", ca_bundle=bundle))


def test_the_command_writes_the_zip_and_says_its_digest(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["package", "postgres", "-o", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "keyturn-rotator-postgres.zip").read_bytes() == content
    assert code_sha256(content) in capsys.readouterr().out


def test_an_engine_of_the_users_own_goes_along_with_what_it_imports_of_ours(tmp_path: Path) -> None:
    (tmp_path / "acme" / "__pycache__").mkdir(parents=True)
    (tmp_path / "acme" / "__pycache__" / "engine.pyc").touch()
    (tmp_path / "acme" / "engine.py").write_text("from keyturn_rotators import alternation\n")
    (tmp_path / "other.py").write_text("")
    added = ["--add", str(tmp_path / "acme"), "--add", str(tmp_path / "other.py")]
    assert main(["package", "random", "-o", str(tmp_path / "dist"), *added]) == 0
    inside = set(names((tmp_path / "dist" / "keyturn-rotator-random.zip").read_bytes()))
    assert inside - set(names(build("random"))) == {"acme/engine.py", "other.py", "keyturn_rotators/alternation.py"}
    assert not [name for name in inside if "__pycache__" in name]


def test_an_engine_that_is_not_there_is_refused_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["package", "cobol"])
    assert "postgres" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "no certificate", "-----BEGIN CERTIFICATE-----\n"])
def test_authorities_that_are_none_are_refused_by_the_command_and_not_by_the_function(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "authorities.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(SystemExit):
        main(["package", "random", "-o", str(tmp_path), "--ca-bundle", str(bundle)])
    assert "--ca-bundle" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["3.10", "2.7", "3", "3.13.1"])
def test_a_python_that_the_rotators_do_not_run_on_is_refused_by_the_command(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["package", "ssh", "--python-version", version])
    assert "3.11 or later" in capsys.readouterr().err


def test_the_rotators_import_nothing_of_the_operator_or_the_lab() -> None:
    root = Path(keyturn_rotators.__file__).parent
    sources = {path: path.read_text() for path in root.rglob("*.py")}
    assert len(sources) > 10
    assert not [path for path, text in sources.items() if re.search(r"(from|import) keyturn(_lab)?[ .]", text)]
