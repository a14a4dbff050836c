"""The example of an engine of one's own: it passes the common suite, and works from the zip that its page says how to make."""

import base64
import hashlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_rotators.cli import main
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step
from keyturn_rotators.versions import PENDING

EXAMPLE = Path(__file__).parents[2] / "examples" / "rotator-module"
ENGINE = "htpasswd_rotator:HtpasswdFile"
OTHERS = ["# users of the shop", "someone:{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="]


def entry(user: str, password: str) -> str:
    return f"{user}:{{SSHA}}{base64.b64encode(hashlib.sha1(password.encode() + b'salt').digest() + b'salt').decode()}"


class HtpasswdBench(Bench):
    """A password file of its own, with other lines in it."""

    forbidden = ":"

    def __init__(self, folder: Path, life: Life) -> None:
        self.file = folder / "shop.htpasswd"
        self.file.write_text("\n".join([*OTHERS, entry("app", "first"), entry("admin", "of the admin")]) + "\n")
        super().__init__(life, {"username": "app", "password": "first", "file": self.file.name})
        self.environ = {"KEYTURN_ENGINE": ENGINE, "HTPASSWD_FOLDER": str(folder)}

    def can_login(self, credential: Credential) -> bool:
        for line in self.file.read_text().splitlines():
            user, _, value = line.partition(":{SSHA}")
            if user == credential.username:
                raw = base64.b64decode(value)
                return hashlib.sha1(credential.password.encode() + raw[20:]).digest() == raw[:20]
        return False


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield importlib.import_module("htpasswd_rotator")
    sys.modules.pop("htpasswd_rotator")


@pytest.fixture
def bench(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HtpasswdBench:
    life = Life()

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            life.request()
            return function(*arguments)

        return call

    for name in ("read", "write"):
        monkeypatch.setattr(module, name, mortal(getattr(module, name)))
    return HtpasswdBench(tmp_path, life)


@pytest.fixture
def any_bench(bench: HtpasswdBench) -> Bench:
    return bench


class TestHtpasswdFile(EngineSuite):
    capabilities = frozenset({Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})

    @pytest.fixture
    def bench(self, any_bench: Bench) -> Iterator[Bench]:
        yield from (any_bench,)


def test_the_lines_of_others_stay_as_they_are(bench: HtpasswdBench) -> None:
    bench.rotate()
    lines = bench.file.read_text().splitlines()
    assert lines[:2] == OTHERS
    assert len(lines) == 4


def test_a_user_whose_password_the_secret_does_not_have_is_left_alone(bench: HtpasswdBench) -> None:
    bench.edit(APP, username="admin")
    before = bench.file.read_text()
    with pytest.raises(RotationError, match="the current password is not the file's") as refused:
        bench.rotate()
    assert refused.value.kind is Kind.AUTHENTICATION
    assert bench.file.read_text() == before


@pytest.mark.parametrize("name", ["../shop.htpasswd", "/etc/passwd", "", "."])
def test_a_file_is_a_plain_name(bench: HtpasswdBench, name: str) -> None:
    bench.edit(APP, file=name)
    with pytest.raises(RotationError, match="the field file is"):
        bench.rotate()


@pytest.mark.parametrize("field", ["username", "file"])
def test_a_pending_version_for_somebody_else_is_refused(bench: HtpasswdBench, field: str) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    value = json.loads(bench.store.value(APP, PENDING))
    bench.store.values[APP][token] = json.dumps(value | {field: "admin"})
    with pytest.raises(RotationError, match=f"pending version's {field} is not"):
        bench.step(Step.SET, token)


def test_a_folder_that_is_not_mounted_is_told_as_such(bench: HtpasswdBench) -> None:
    bench.environ["HTPASSWD_FOLDER"] = "/nowhere/at/all"
    with pytest.raises(RotationError, match="out of reach") as failed:
        bench.rotate()
    assert failed.value.kind is Kind.NETWORK


def test_a_folder_that_cannot_be_written_is_told_as_such(bench: HtpasswdBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("of the back end")

    monkeypatch.setattr("htpasswd_rotator.os.replace", full)
    with pytest.raises(RotationError, match=r"cannot be written \(OSError\)") as failed:
        bench.rotate()
    assert failed.value.kind is Kind.PERMISSION


def test_a_lock_that_somebody_keeps_is_waited_for_within_the_steps_time(module: ModuleType, tmp_path: Path) -> None:
    with (
        module.locked(tmp_path, Deadline.after(60)),
        pytest.raises(RotationError, match="time limit"),
        module.locked(tmp_path, Deadline.after(0.3)),
    ):
        raise AssertionError("two have the lock")
    with module.locked(tmp_path, Deadline.after(60)):
        assert (tmp_path / ".rotator.lock").exists()


PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from keyturn_rotators import engines
from keyturn_rotators.credential import Credential
assert engines.__file__.startswith(sys.argv[1]), engines.__file__
print(type(engines.chooser(os.environ)(Credential({}))).__name__)
"""


def test_the_class_is_found_in_a_zip_to_which_it_was_added(tmp_path: Path) -> None:
    assert main(["package", "random", "--add", str(EXAMPLE / "htpasswd_rotator.py"), "-o", str(tmp_path)]) == 0
    package = tmp_path / "keyturn-rotator-random.zip"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package)],
        env={"KEYTURN_ENGINE": ENGINE},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "HtpasswdFile"
