"""One lab's AWS for all contract tests of a worker; every test uses names of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn_lab.aws import Aws

ROTATOR = Path(__file__).with_name("rotator.py")


def install_rotator(aws: Aws, directory: Path, name: str, *, timeout: int = 30, trusted: bool = True) -> str:
    """Register this folder's rotation function under a name; its ARN."""
    code = directory / name
    code.mkdir()
    (code / "rotator.py").write_text(ROTATOR.read_text())
    return aws.register_function(name, code, handler="rotator.handler", timeout=timeout, environment={"GREETING": "hello"}, trusted=trusted)


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    with Aws() as running:
        yield running


@pytest.fixture(scope="session")
def rotator(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    return install_rotator(aws, tmp_path_factory.mktemp("rotator"), "rotator")


@pytest.fixture
def name() -> str:
    return f"test/{uuid.uuid4()}"
