"""What `make test-host` installs before its tests run beside each other."""

import re
from pathlib import Path

from tests.support.debian import PACKAGES, missing

HOST_TESTS = Path(__file__).parents[2] / "host"


def test_a_package_is_missing_until_its_program_is_there(tmp_path: Path) -> None:
    assert missing(*PACKAGES, root=tmp_path) == list(PACKAGES)
    for program in PACKAGES.values():
        path = tmp_path / program.replace("*", "15")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert missing(*PACKAGES, root=tmp_path) == []
    (tmp_path / "usr/bin/redis-server").unlink()
    assert missing(*PACKAGES, root=tmp_path) == ["redis-server"]


def test_every_package_that_a_host_test_installs_by_itself_is_among_them() -> None:
    texts = "".join(path.read_text() for folder in (HOST_TESTS, HOST_TESTS.parent / "rotators") for path in folder.glob("*.py"))
    found = set(re.findall(r'\binstall\("([\w-]+)"', texts))
    assert found
    assert found == PACKAGES.keys()
